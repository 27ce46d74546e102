#include "datasets/fingerprint.h"

#include <array>
#include <cstring>

#include "util/random.h"

namespace trainyard {
namespace {

constexpr std::size_t block_bytes = 64;

// The two halves of the 128-bit product, combined by XOR: the step of wyhash (Wang Yi).
std::uint64_t folded_product(std::uint64_t a, std::uint64_t b) {
  __extension__ using uint128 = unsigned __int128;
  const uint128 product = static_cast<uint128>(a) * b;
  return static_cast<std::uint64_t>(product >> 64) ^ static_cast<std::uint64_t>(product);
}

std::uint64_t word_at(const std::byte* bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// Mixes two of the eight words of each block.
struct Lane {
  std::size_t number;
  std::uint64_t value;
  std::uint64_t secret = mix64(value);

  void mix(const std::byte* block) {
    value = folded_product(word_at(block + 8 * number) ^ secret, word_at(block + 8 * (number + 4)) ^ value);
  }
};

}  // namespace

std::uint64_t fingerprint(std::uint64_t key, std::span<const std::byte> bytes) {
  // Four lanes keep the processor busy, because each step of a lane depends on the previous product. Unrolled by hand:
  // in a loop the compiler would keep the values in memory, which takes three times as long.
  Lane a{0, key_of({key, bytes.size(), 0})};
  Lane b{1, key_of({key, bytes.size(), 1})};
  Lane c{2, key_of({key, bytes.size(), 2})};
  Lane d{3, key_of({key, bytes.size(), 3})};
  const auto mix = [&](const std::byte* block) {
    a.mix(block);
    b.mix(block);
    c.mix(block);
    d.mix(block);
  };
  for (; bytes.size() >= block_bytes; bytes = bytes.subspan(block_bytes)) mix(bytes.data());
  if (!bytes.empty()) {
    std::array<std::byte, block_bytes> rest{};
    std::memcpy(rest.data(), bytes.data(), bytes.size());
    mix(rest.data());
  }
  for (const Lane& lane : {a, b, c, d}) key = mix64(key ^ lane.value);
  return key;
}

}  // namespace trainyard
