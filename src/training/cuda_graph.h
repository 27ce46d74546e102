/// Work on a GPU that is launched at once: one call of the driver instead of one a kernel.
#pragma once

#include <functional>
#include <memory>

#include "util/torch.h"

namespace trainyard {

/// What a function launched, with the memory that it took, which stays its own.
class CudaGraph {
 public:
  virtual ~CudaGraph() = default;
  /// Launches it all again, on the current stream: the same kernels on the same addresses, random numbers that go on.
  /// Does not wait for the GPU.
  virtual void replay() = 0;
};

/// Captures what `work` launches on `device` without running it (at::cuda::CUDAGraph); waits for the GPU. Null, and
/// nothing done, where the GPU lacks the memory: the graph takes what `work` does, and as much has to be free beside it
/// for work that is not captured. Null on the CPU too. Throws RunError where `work` waits for the GPU, and what
/// `work` throws; the process cannot go on with the device then.
std::unique_ptr<CudaGraph> capture_cuda_graph(at::Device device, const std::function<void()>& work);

}  // namespace trainyard
