/// Captures work in a CUDA graph and launches it with one driver call instead of one per kernel.
#pragma once

#include <functional>
#include <memory>

#include "util/torch.h"

namespace trainyard {

/// The work that a function launched. Keeps the memory that the function allocated.
class CudaGraph {
 public:
  virtual ~CudaGraph() = default;
  /// Launches the work again on the current stream: the same kernels on the same addresses, but with the next random
  /// numbers. Does not wait for the GPU.
  virtual void replay() = 0;
};

/// Whether the device has the memory for a first graph: a graph takes about as much as the steps before it, and the
/// same amount must remain free for work that is not captured. Waits for the GPU. False on the CPU.
bool has_room_for_cuda_graph(at::Device device);

/// Captures what `work` launches on `device`, a GPU, without running it (at::cuda::CUDAGraph); waits for the GPU. The
/// graph shares the memory pool of `other`, which may be null: replaying one overwrites the results of the other.
/// Throws RunError if `work` waits for the GPU, and whatever `work` throws; the process can no longer use the device
/// then.
std::unique_ptr<CudaGraph> capture_cuda_graph(at::Device device, const std::function<void()>& work,
                                              const CudaGraph* other = nullptr);

}  // namespace trainyard
