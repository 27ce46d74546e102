#include "loader_torch/peer_memory.h"

#include <algorithm>

namespace trainyard {

std::uint64_t peer_share(std::uint64_t bytes, int gpus) {
  constexpr std::uint64_t block = 2 << 20;  // CUDA's granularity
  const auto parts = static_cast<std::uint64_t>(gpus);
  const std::uint64_t blocks = (bytes + parts * block - 1) / (parts * block);
  return std::max<std::uint64_t>(blocks, 1) * block;
}

}  // namespace trainyard
