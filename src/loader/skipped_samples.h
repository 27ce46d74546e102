/// Records the samples that a pool has skipped (OnWorkerError::skip), so that each is named in the log once, however
/// many passes are made over the data.
#pragma once

#include <cstdint>
#include <set>
#include <utility>

namespace trainyard {

/// Not thread-safe.
class SkippedSamples {
 public:
  /// Returns whether the sample is a new one.
  bool add(std::uint32_t split, std::uint64_t sample) { return samples_.emplace(split, sample).second; }
  bool contains(std::uint32_t split, std::uint64_t sample) const { return samples_.contains({split, sample}); }
  std::uint64_t count() const { return samples_.size(); }

 private:
  std::set<std::pair<std::uint32_t, std::uint64_t>> samples_;
};

}  // namespace trainyard
