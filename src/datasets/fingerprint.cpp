#include "datasets/fingerprint.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "util/random.h"

namespace trainyard {
namespace {

// The 128 bits of the product, one half laid over the other: wyhash's step (Wang Yi).
std::uint64_t folded_product(std::uint64_t a, std::uint64_t b) {
  __extension__ using uint128 = unsigned __int128;
  const uint128 product = static_cast<uint128>(a) * b;
  return static_cast<std::uint64_t>(product >> 64) ^ static_cast<std::uint64_t>(product);
}

}  // namespace

std::uint64_t fingerprint(std::uint64_t key, std::span<const std::byte> bytes) {
  // Four lanes keep the processor busy: each step of one waits for the product before.
  struct Block {
    std::array<std::uint64_t, 4> left;
    std::array<std::uint64_t, 4> right;
  };
  std::array<std::uint64_t, 4> lanes{};
  std::array<std::uint64_t, 4> secrets{};
  for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
    lanes[lane] = key_of({key, bytes.size(), lane});
    secrets[lane] = mix64(lanes[lane]);
  }
  while (!bytes.empty()) {
    Block block{};
    const std::size_t count = std::min(bytes.size(), sizeof block);
    std::memcpy(&block, bytes.data(), count);
    for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
      lanes[lane] = folded_product(block.left[lane] ^ secrets[lane], block.right[lane] ^ lanes[lane]);
    }
    bytes = bytes.subspan(count);
  }
  for (const std::uint64_t lane : lanes) key = mix64(key ^ lane);
  return key;
}

}  // namespace trainyard
