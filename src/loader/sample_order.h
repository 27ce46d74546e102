/// The order in which an epoch visits its samples: a function, not a list, so that any place of any epoch is reached at
/// once.
#pragma once

#include <array>
#include <cstdint>

#include "loader/samples_by_class.h"

namespace trainyard {

/// A permutation of [0, size) that depends on (seed, epoch) alone; the identity without shuffling. With `by_class`,
/// which may be null or empty and must outlive the order and its copies, a shuffled order draws with replacement, every
/// class equally often: the sample at a position depends on (seed, epoch, position) alone. O(1) memory, and O(1) time
/// on average for any position. Copyable, immutable, safe from any thread.
///
/// The permutation is a Feistel network (Luby, Rackoff 1988) over the next power of two, at least 256, walked on until
/// it lands inside [0, size) (Black, Rogaway: "Ciphers with arbitrary finite domains", 2002).
class SampleOrder {
 public:
  SampleOrder(std::uint64_t seed, std::uint64_t epoch, std::uint64_t size, bool shuffle,
              const SamplesByClass* by_class = nullptr);

  /// The sample at `position`. REQUIRES 0 <= position < size.
  std::uint64_t operator()(std::uint64_t position) const;

  /// What the sample's random numbers depend on beside the seed and the sample: the epoch; if samples are drawn with
  /// replacement, the epoch and the position, so that one drawn twice is augmented in two ways.
  std::uint64_t random_key(std::uint64_t position) const;

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
