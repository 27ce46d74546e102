/// Computes the order in which an epoch visits its samples: a function, not a list, so any position of any epoch is
/// available immediately.
#pragma once

#include <array>
#include <cstdint>

#include "loader/samples_by_class.h"
#include "util/random.h"

namespace trainyard {

/// A permutation of [0, size) that depends only on (seed, epoch); the identity without shuffling. With `by_class`,
/// which may be null or empty and must outlive the order and its copies, a shuffled order draws with replacement, each
/// class equally often: the sample at a position depends only on (seed, epoch, position). O(1) memory, and O(1) average
/// time for any position. Copyable, immutable, thread-safe.
///
/// The permutation is a Feistel network (Luby, Rackoff 1988) over the next power of two, at least 256, applied
/// repeatedly until the result is in [0, size) (cycle walking; Black, Rogaway: "Ciphers with arbitrary finite domains",
/// 2002).
class SampleOrder {
 public:
  SampleOrder(std::uint64_t seed, std::uint64_t epoch, std::uint64_t size, bool shuffle,
              const SamplesByClass* by_class = nullptr);

  /// The sample at `position`. REQUIRES 0 <= position < size.
  std::uint64_t operator()(std::uint64_t position) const;

  /// What the sample's random numbers depend on besides the seed and the sample: the epoch. If samples are drawn with
  /// replacement, the epoch and the position, so that a sample drawn twice is augmented differently each time.
  std::uint64_t random_key(std::uint64_t position) const {
    return by_class_ == nullptr ? epoch_ : key_of({epoch_, key_of("draw"), position});
  }

 private:
  static constexpr int rounds = 8;

  std::uint64_t draw(std::uint64_t position) const;

  std::uint64_t seed_;
  std::uint64_t epoch_;
  std::uint64_t size_;
  bool shuffle_;
  const SamplesByClass* by_class_;  // null: a permutation
  int low_bits_ = 0;
  std::uint64_t low_mask_ = 0;
  std::uint64_t high_mask_ = 0;
  std::array<std::uint64_t, rounds> keys_{};
};

}  // namespace trainyard
