/// The samples of a split by class, for loader.sampling = balanced.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "datasets/dataset.h"

namespace trainyard {

/// 8 bytes per sample. Immutable once made: safe from any thread or process.
class SamplesByClass {
 public:
  /// There is none: the split is not sampled by class.
  SamplesByClass() = default;
  /// From the class of each sample (Dataset::stratum), in memory alone. Throws UsageError if the dataset does not know
  /// it without reading the samples.
  explicit SamplesByClass(const Dataset& dataset);
  /// From what labels(), begins() and samples() of another one returned.
  SamplesByClass(std::vector<std::uint64_t> labels, std::vector<std::uint64_t> begins,
                 std::vector<std::uint64_t> samples)
      : labels_(std::move(labels)), begins_(std::move(begins)), samples_(std::move(samples)) {}

  bool empty() const { return labels_.empty(); }
  /// Classes that have samples.
  std::uint64_t classes() const { return labels_.size(); }
  /// The samples of the class labels()[place], in the dataset's order.
  std::span<const std::uint64_t> samples_of(std::uint64_t place) const {
    return std::span(samples_).subspan(begins_[place], begins_[place + 1] - begins_[place]);
  }

  /// The number of each class that has samples.
  const std::vector<std::uint64_t>& labels() const { return labels_; }
  /// Where the samples of each of them begin in samples(), and last where they end.
  const std::vector<std::uint64_t>& begins() const { return begins_; }
  const std::vector<std::uint64_t>& samples() const { return samples_; }

 private:
  std::vector<std::uint64_t> labels_;
  std::vector<std::uint64_t> begins_;
  std::vector<std::uint64_t> samples_;
};

}  // namespace trainyard
