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

/// Whether the device has the memory for a first graph: it takes about what the steps before it did, and as much has to
/// be free beside it for work that is not captured. Waits for the GPU. False on the CPU.
bool has_room_for_cuda_graph(at::Device device);

/// Captures what `work` launches on `device`, a GPU, without running it (at::cuda::CUDAGraph); waits for the GPU. The
/// graph shares the memory of `other`, which may be null: what one leaves behind is lost when the other runs. Throws
/// RunError where `work` waits for the GPU, and what `work` throws; the process cannot go on with the device then.
std::unique_ptr<CudaGraph> capture_cuda_graph(at::Device device, const std::function<void()>& work,
                                              const CudaGraph* other = nullptr);

}  // namespace trainyard
