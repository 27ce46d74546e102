#include "datasets/fingerprint.h"

#include <algorithm>
#include <cstring>

#include "util/random.h"

namespace trainyard {

std::uint64_t fingerprint(std::uint64_t key, std::span<const std::byte> bytes) {
  key = key_of({key, bytes.size()});
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), sizeof(std::uint64_t));
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), count);
    key = mix64(key ^ word);
    bytes = bytes.subspan(count);
  }
  return key;
}

}  // namespace trainyard
