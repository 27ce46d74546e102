/// A batch on the training device, as delivered by the loader.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "loader_torch/normalize.h"
#include "util/torch.h"

namespace trainyard {

/// A field of a batch, not yet normalized.
struct DeviceField {
  std::string name;
  /// N × shape. For a variable-length field, all rows of the batch: N × longest × ... if they are padded
  /// (SplitInfo::padded), otherwise concatenated. On the CPU it may alias the batch's slot, which is returned to the
  /// workers when the last tensor that shares it is released: clone anything that is kept for longer than a step.
  at::Tensor data;
  Selection selection{};  ///< loader.cache = gpu: the rows of `data`, and which are mirrored; otherwise undefined: all
  at::Tensor rows{};      ///< of a variable-length field: int64 N, the number of rows of each sample
  at::Tensor begins{};    ///< of a variable-length field: int64 N + 1, in rows

  /// `data` with the selection applied: N × shape.
  at::Tensor tensor() const;
};

struct DeviceBatch {
  std::vector<DeviceField> fields;  ///< in the dataset's order
  std::int64_t epoch = 0;           ///< of the loader
  std::int64_t number;              ///< its position in the epoch
  std::int64_t count;               ///< N
  /// The positions, within the requested batch, of the samples that could be read; empty: all.
  std::vector<std::uint32_t> kept{};

  /// Returns nullptr if there is no field with that name.
  const DeviceField* find(std::string_view name) const;
  /// Throws RunError that lists the fields if there is none with that name.
  const DeviceField& field(std::string_view name) const;
};

}  // namespace trainyard
