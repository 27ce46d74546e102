/// A batch on the training device, as the loader delivers it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "loader_torch/normalize.h"
#include "util/torch.h"

namespace trainyard {

/// A field of a batch, not yet normalised.
struct DeviceField {
  std::string name;
  /// N × shape. Of a field that varies all rows of the batch: N × longest × ... if they are padded
  /// (SplitInfo::padded), else one sample behind the other. On the CPU it may be the batch's own memory, which goes
  /// back to the workers with the last tensor that shares it: clone what is kept for longer than a step.
  at::Tensor data;
  Selection selection{};  ///< loader.cache = gpu: which rows of `data`, and which are mirrored; else undefined: all
  at::Tensor rows{};      ///< of a field that varies: int64 N, how many each sample has
  at::Tensor begins{};    ///< of a field that varies: int64 N + 1, in rows

  /// `data` with the selection applied: N × shape.
  at::Tensor tensor() const;
};

struct DeviceBatch {
  std::vector<DeviceField> fields;  ///< in the dataset's order
  std::int64_t number;              ///< its place in the epoch
  std::int64_t count;               ///< N
  /// The places, in the batch as it was asked for, of the samples that could be read; empty: all.
  std::vector<std::uint32_t> kept{};

  /// nullptr if there is none of that name.
  const DeviceField* find(std::string_view name) const;
  /// Throws RunError that lists the fields if there is none of that name.
  const DeviceField& field(std::string_view name) const;
};

}  // namespace trainyard
