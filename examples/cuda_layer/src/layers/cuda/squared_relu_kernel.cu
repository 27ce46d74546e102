#include <algorithm>

#include "layers/cuda/squared_relu_kernel.h"

namespace trainyard {
namespace {

constexpr unsigned block_threads = 256;
constexpr std::int64_t max_blocks = 4096;  // each thread then takes several elements

// As a comparison, not fmaxf(): NaN stays NaN.
__device__ float relu(float x) { return x < 0 ? 0 : x; }

__global__ void squared_relu_kernel(const float* x, float* y, std::int64_t n) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    const float positive = relu(x[i]);
    y[i] = positive * positive;
  }
}

__global__ void squared_relu_gradient_kernel(const float* dy, const float* x, float* dx, std::int64_t n) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
    dx[i] = 2 * relu(x[i]) * dy[i];
  }
}

unsigned blocks_for(std::int64_t n) {
  return static_cast<unsigned>(std::min((n + block_threads - 1) / block_threads, max_blocks));
}

}  // namespace

cudaError_t launch_squared_relu(const float* x, float* y, std::int64_t n, cudaStream_t stream) {
  if (n == 0) return cudaSuccess;
  squared_relu_kernel<<<blocks_for(n), block_threads, 0, stream>>>(x, y, n);
  return cudaGetLastError();
}

cudaError_t launch_squared_relu_gradient(const float* dy, const float* x, float* dx, std::int64_t n,
                                         cudaStream_t stream) {
  if (n == 0) return cudaSuccess;
  squared_relu_gradient_kernel<<<blocks_for(n), block_threads, 0, stream>>>(dy, x, dx, n);
  return cudaGetLastError();
}

}  // namespace trainyard
