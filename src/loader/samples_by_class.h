/// Groups the samples of a split by class, for loader.sampling = balanced.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "datasets/dataset.h"

namespace trainyard {

/// 8 bytes per sample. Immutable, hence safe in any thread or process.
class SamplesByClass {
 public:
  /// Empty: the split is not sampled by class.
  SamplesByClass() = default;
  /// Groups the samples by Dataset::stratum, without I/O. Throws UsageError if the dataset does not know the class of a
  /// sample without reading it.
  explicit SamplesByClass(const Dataset& dataset);
  /// Copies another object from its labels(), begins() and samples().
  SamplesByClass(std::vector<std::uint64_t> labels, std::vector<std::uint64_t> begins,
                 std::vector<std::uint64_t> samples)
      : labels_(std::move(labels)), begins_(std::move(begins)), samples_(std::move(samples)) {}

  bool empty() const { return labels_.empty(); }
  /// The number of classes that have samples.
  std::uint64_t classes() const { return labels_.size(); }
  /// The samples of class labels()[place], in the dataset's order.
  std::span<const std::uint64_t> samples_of(std::uint64_t place) const {
    return std::span(samples_).subspan(begins_[place], begins_[place + 1] - begins_[place]);
  }

  /// The labels of the classes that have samples.
  const std::vector<std::uint64_t>& labels() const { return labels_; }
  /// Where the samples of each class begin in samples(), then where the last ones end.
  const std::vector<std::uint64_t>& begins() const { return begins_; }
  const std::vector<std::uint64_t>& samples() const { return samples_; }

 private:
  std::vector<std::uint64_t> labels_;
  std::vector<std::uint64_t> begins_;
  std::vector<std::uint64_t> samples_;
};

}  // namespace trainyard
