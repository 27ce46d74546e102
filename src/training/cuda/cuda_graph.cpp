#include "training/cuda_graph.h"

#include <string_view>

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include "util/error.h"

namespace trainyard {
namespace {

namespace allocator = c10::cuda::CUDACachingAllocator;

// The graph takes about as much memory as the steps before it, which the allocator has cached. Requires twice that:
// once for the graph, once for work that is not captured.
bool enough_memory(at::Device device) {
  const auto stats = allocator::getDeviceStats(device.index());
  const auto cached =
      stats.reserved_bytes[0].current - stats.allocated_bytes[0].current;  // [0]: small and large blocks together
  allocator::emptyCache();
  std::size_t free = 0;
  std::size_t total = 0;
  C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return free / 2 >= static_cast<std::size_t>(cached);
}

class CapturedGraph final : public CudaGraph {
 public:
  // Captures on the current stream. REQUIRES that it is not the default stream.
  explicit CapturedGraph(const std::function<void()>& work) {
    // Thread-local: other threads copy batches and save checkpoints during the capture.
    graph_.capture_begin(/*pool=*/{0, 0}, cudaStreamCaptureModeThreadLocal);
    try {
      work();
      graph_.capture_end();
    } catch (const c10::OutOfMemoryError&) {
      abandon();
      throw;
    } catch (const c10::Error& error) {
      abandon();
      const std::string_view why = error.what_without_backtrace();
      throw RunError("training",
                     "the step cannot be captured in a CUDA graph: {}; a forward() that waits for the GPU (item(), "
                     "nonzero(), a copy to the CPU) needs train.cuda_graph = false",
                     why.substr(0, why.find('\n')));
    } catch (...) {
      abandon();
      throw;
    }
  }

  void replay() override { graph_.replay(); }

 private:
  // Ends a failed capture: while one is active the allocator cannot free memory.
  static void abandon() noexcept {
    cudaGraph_t broken = nullptr;
    cudaStreamEndCapture(c10::cuda::getCurrentCUDAStream(), &broken);
    cudaGetLastError();
  }

  at::cuda::CUDAGraph graph_;
};

}  // namespace

std::unique_ptr<CudaGraph> capture_cuda_graph(at::Device device, const std::function<void()>& work) {
  if (!device.is_cuda()) return nullptr;
  const c10::cuda::CUDAGuard on_device(device);
  c10::cuda::device_synchronize();
  if (!enough_memory(device)) return nullptr;
  const c10::cuda::CUDAStreamGuard on_stream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index()));
  return std::make_unique<CapturedGraph>(work);
}

}  // namespace trainyard
