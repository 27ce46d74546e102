/// Generates random numbers that are a function of their purpose, so they are the same with any number of workers,
/// after a crash and after a resume.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace trainyard {

/// Mixes 64 bits so that every input bit changes about half the output bits. A bijection.
/// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// Combines several values into one 64-bit key; the order of the parts matters.
constexpr std::uint64_t key_of(std::initializer_list<std::uint64_t> parts) {
  std::uint64_t key = 0;
  for (const std::uint64_t part : parts) key = mix64(key ^ part);
  return key;
}

/// Returns a key for a name, e.g. `key_of({seed, epoch, index, key_of("random_crop")})`. FNV-1a, mixed.
constexpr std::uint64_t key_of(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return mix64(hash);
}

/// A small generator for one purpose: the stream depends on the key alone. Copyable, not thread-safe.
class RandomStream {
 public:
  explicit constexpr RandomStream(std::uint64_t key) : state_(key) {}

  /// Uniform over all 64-bit values.
  constexpr std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    return mix64(state_);
  }

  /// Uniform in [0, bound), without bias (Lemire 2019). REQUIRES bound > 0.
  std::uint64_t below(std::uint64_t bound) {
    for (;;) {
      const uint128 product = static_cast<uint128>(next()) * bound;
      if (static_cast<std::uint64_t>(product) >= (0 - bound) % bound) return static_cast<std::uint64_t>(product >> 64);
    }
  }

  /// Uniform in [0, 1), 53 random bits.
  constexpr double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

 private:
  __extension__ using uint128 = unsigned __int128;
  std::uint64_t state_;
};

}  // namespace trainyard
