#include "training/cuda_graph.h"

#include <string_view>

#include <ATen/cuda/CUDAContextLight.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include "training/memory.h"
#include "util/error.h"
#include "util/text_lines.h"

namespace trainyard {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

class CapturedGraph final : public CudaGraph {
 public:
  // Captures on the current stream. REQUIRES that it is not the default stream.
  CapturedGraph(const std::function<void()>& work, const CapturedGraph* other) {
    // Thread-local: other threads copy batches and save checkpoints during the capture.
    const at::cuda::MempoolId_t own{0, 0};
    graph_.capture_begin(other != nullptr ? other->pool_ : own, cudaStreamCaptureModeThreadLocal);
    try {
      work();
      graph_.capture_end();
      pool_ = graph_.pool();
    } catch (const c10::OutOfMemoryError&) {
      abandon();
      throw;
    } catch (const c10::Error& error) {
      abandon();
      const std::string_view why = error.what_without_backtrace();
      throw RunError("training",
                     "the step cannot be captured in a CUDA graph: {}; a forward() that waits for the GPU (item(), "
                     "nonzero(), a copy to the CPU) needs train.cuda_graph = false",
                     first_line(why));
    } catch (...) {
      abandon();
      throw;
    }
  }

  void replay() override { graph_.replay(); }

 private:
  // Ends a failed capture: the allocator cannot free memory while a capture is active.
  static void abandon() noexcept {
    cudaGraph_t broken = nullptr;
    cudaStreamEndCapture(c10::cuda::getCurrentCUDAStream(), &broken);
    cudaGetLastError();
  }

  at::cuda::CUDAGraph graph_;
  at::cuda::MempoolId_t pool_{};
};

}  // namespace

bool has_room_for_cuda_graph(at::Device device) {
  if (!device.is_cuda()) return false;
  const c10::cuda::CUDAGuard on_device(device);
  c10::cuda::device_synchronize();
  const auto stats = allocator::getDeviceStats(device.index());
  const auto cached =
      stats.reserved_bytes[0].current - stats.allocated_bytes[0].current;  // [0]: small and large blocks together
  allocator::emptyCache();
  return free_gpu_memory(device) / 2 >= static_cast<std::uint64_t>(cached);
}

std::unique_ptr<CudaGraph> capture_cuda_graph(at::Device device, const std::function<void()>& work,
                                              const CudaGraph* other) {
  const c10::cuda::CUDAGuard on_device(device);
  c10::cuda::device_synchronize();
  at::cuda::clearCublasWorkspaces();  // of the streams used so far; a capture allocates its own
  allocator::emptyCache();
  const c10::cuda::CUDAStreamGuard on_stream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index()));
  return std::make_unique<CapturedGraph>(work, static_cast<const CapturedGraph*>(other));
}

}  // namespace trainyard
