#include "training/memory.h"

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

namespace trainyard {

std::uint64_t free_gpu_memory(at::Device device) {
  const c10::cuda::CUDAGuard on_device(device);
  std::size_t free = 0;
  std::size_t total = 0;
  C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return free;
}

}  // namespace trainyard
