/// Launches the kernels of squared_relu(). Includes no LibTorch header: nvcc takes minutes to parse those.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

namespace trainyard {

/// y[i] = max(x[i], 0)², and its gradient dx[i] = 2 max(x[i], 0) dy[i], for i < n. Asynchronous on `stream` of the
/// current device; return the error of the launch.
cudaError_t launch_squared_relu(const float* x, float* y, std::int64_t n, cudaStream_t stream);
cudaError_t launch_squared_relu_gradient(const float* dy, const float* x, float* dx, std::int64_t n,
                                         cudaStream_t stream);

}  // namespace trainyard
