/// Numbers the batches of a loader on across its epochs, so that a range of them may begin and end anywhere.
#pragma once

#include <cstdint>

namespace trainyard {

/// The batches from `first` up to but excluding `end`. Where an epoch has n batches, number k is batch k % n of epoch
/// k / n. REQUIRES first <= end.
struct BatchRange {
  std::uint64_t first = 0;
  std::uint64_t end = 0;

  std::uint64_t count() const { return end - first; }
  bool operator==(const BatchRange&) const = default;
};

}  // namespace trainyard
