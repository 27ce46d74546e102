// A faulty kernel for the check to detect: built once with a wrong constant, once for another GPU
// (tests/CMakeLists.txt).

#include <string>
#include <vector>

#include <cuda_runtime.h>

namespace trainyard {
namespace {

__global__ void kernel(const float* x, float* y, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) y[i] = x[i] * x[i] + ADDED;
}

}  // namespace

// A SquarePlusOne (check/probes.h).
std::string KERNEL(int device, const std::vector<float>& x, std::vector<float>& y) {
  y.assign(x.size(), 0.0f);
  const int count = static_cast<int>(x.size());
  const std::size_t bytes = x.size() * sizeof(float);
  float* in = nullptr;
  float* out = nullptr;
  cudaError_t error = cudaSetDevice(device);
  if (error == cudaSuccess) error = cudaMalloc(&in, bytes);
  if (error == cudaSuccess) error = cudaMalloc(&out, bytes);
  if (error == cudaSuccess) error = cudaMemcpy(in, x.data(), bytes, cudaMemcpyHostToDevice);
  if (error == cudaSuccess) {
    kernel<<<(count + 255) / 256, 256>>>(in, out, count);
    error = cudaGetLastError();
  }
  if (error == cudaSuccess) error = cudaMemcpy(y.data(), out, bytes, cudaMemcpyDeviceToHost);
  cudaFree(in);
  cudaFree(out);
  return error == cudaSuccess ? "" : std::string("CUDA error: ") + cudaGetErrorString(error);
}

}  // namespace trainyard
