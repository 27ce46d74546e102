/// The order in which an epoch visits its samples: a function, not a list, so that any place of any epoch is reached at
/// once.
#pragma once

#include <array>
#include <cstdint>

namespace trainyard {

/// A permutation of [0, size) that depends on (seed, epoch) alone; the identity without shuffling. O(1) memory, and
/// O(1) time on average for any position. Copyable, immutable, safe from any thread.
///
/// A Feistel network (Luby, Rackoff 1988) over the next power of two, at least 256, walked on until it lands inside
/// [0, size) (Black, Rogaway: "Ciphers with arbitrary finite domains", 2002).
class SampleOrder {
 public:
  SampleOrder(std::uint64_t seed, std::uint64_t epoch, std::uint64_t size, bool shuffle);

  /// The sample at `position`. REQUIRES 0 <= position < size.
  std::uint64_t operator()(std::uint64_t position) const;

 private:
  static constexpr int rounds = 8;

  std::uint64_t size_;
  bool shuffle_;
  int low_bits_ = 0;
  std::uint64_t low_mask_ = 0;
  std::uint64_t high_mask_ = 0;
  std::array<std::uint64_t, rounds> keys_{};
};

}  // namespace trainyard
