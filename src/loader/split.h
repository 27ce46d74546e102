/// Describes a split, as workers read it and as the trainer knows it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "loader/samples_by_class.h"
#include "transforms/pipeline.h"

namespace trainyard {

/// A dataset ready to be read, with the transforms of its samples (none by default).
struct LoadedSplit {
  std::unique_ptr<Dataset> dataset;
  TransformPipeline transforms;
  bool from_train = false;  ///< see SplitDataset
  SamplesByClass by_class;  ///< for train with Sampling::balanced, else empty

  /// The fields that read() writes.
  const std::vector<Field>& fields() const { return transforms.fields(*dataset); }
  /// Reads and transforms sample `index`. See TransformPipeline::read, with `random_key` in place of the epoch.
  void read(std::size_t index, std::uint64_t seed, std::uint64_t random_key, std::span<const std::span<std::byte>> out,
            bool unmirrored = false) const {
    transforms.read(*dataset, index, seed, random_key, out, unmirrored);
  }
};

/// Builds all available splits. The index in the vector is the split's number (static_cast of Split); only test, the
/// last one, may be missing. Throws any Error.
using DatasetFactory = std::function<std::vector<LoadedSplit>()>;

/// What the trainer knows about a split; the dataset itself stays with the workers.
struct SplitInfo {
  std::uint64_t size = 0;
  std::vector<Field> fields;
  /// For each variable-length field, whether Dataset::collate() pads; then all samples of a batch have the same number
  /// of rows.
  std::vector<bool> padded;
  std::vector<std::string> class_names;
  std::uint64_t fingerprint = 0;
  std::vector<float> channel_mean;
  std::vector<float> channel_std;
  std::vector<std::uint64_t> class_counts;  ///< samples of each class; empty if unknown without reading
  std::vector<LeftOut> left_out;            ///< of the split's own source: none if it was taken from train
  std::string warning{};                    ///< see Dataset::warning()
  bool from_train = false;                  ///< see SplitDataset
  std::optional<RandomMirror> mirror;       ///< its last transform, if that is random_horizontal_flip
  SamplesByClass by_class;                  ///< see LoadedSplit
};

std::vector<SplitInfo> describe(const std::vector<LoadedSplit>& splits);

/// Throws UsageError if a dataset has no fields, too many, or two with the same name, or if the splits' fields differ
/// in number, name, type or in whether they vary in length: one arena holds batches of every split.
void require_equal_fields(const std::vector<LoadedSplit>& splits);

}  // namespace trainyard
