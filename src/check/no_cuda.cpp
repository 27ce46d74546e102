#include "check/probes.h"

namespace trainyard {

bool has_own_kernels() { return false; }

std::string square_plus_one(int, const std::vector<float>&, std::vector<float>&) {
  return "this program was built without CUDA kernels of its own";
}

std::uint64_t free_device_memory(int) { return 0; }

bool can_access_peer(int, int) { return false; }

}  // namespace trainyard
