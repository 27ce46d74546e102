#include "loader_torch/registered_memory.h"

#include <cuda_runtime_api.h>

#include "util/log.h"

namespace trainyard {

RegisteredMemory::RegisteredMemory(std::span<std::byte> memory) {
  if (memory.empty()) return;
  const cudaError_t error = cudaHostRegister(memory.data(), memory.size(), cudaHostRegisterDefault);
  if (error == cudaSuccess) {
    registered_ = {memory.data(), [](void* address) { cudaHostUnregister(address); }};
    return;
  }
  cudaGetLastError();  // clears it, so that a later check does not report it
  log_warning(
      "[loader] cudaHostRegister of {} bytes: {}; copies to the GPU will be slower. In a container, give "
      "--ulimit memlock=-1",
      memory.size(), cudaGetErrorString(error));
}

}  // namespace trainyard
