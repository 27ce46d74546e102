#include "check/probes.h"

namespace trainyard {

std::string square_plus_one(int, const std::vector<float>&, std::vector<float>&) {
  return "this program was built with a LibTorch without CUDA";
}

std::uint64_t free_device_memory(int) { return 0; }

}  // namespace trainyard
