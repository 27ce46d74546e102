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

// For twice what the work so far has taken and given back, which the allocator keeps: the graph's own memory, and as
// much for what is not captured.
bool has_room(at::Device device) {
  const auto stats = allocator::getDeviceStats(device.index());
  const auto kept = stats.reserved_bytes[0].current - stats.allocated_bytes[0].current;  // 0: large and small blocks
  allocator::emptyCache();
  std::size_t free = 0;
  std::size_t total = 0;
  C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return free / 2 >= static_cast<std::size_t>(kept);
}

class CapturedGraph final : public CudaGraph {
 public:
  // On the current stream, which is not the default one.
  explicit CapturedGraph(const std::function<void()>& work) {
    // Only this thread is bound by what a capture forbids: others copy and save meanwhile.
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
  // Else nothing could be freed any more.
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
  if (!has_room(device)) return nullptr;
  const c10::cuda::CUDAStreamGuard on_stream(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device.index()));
  return std::make_unique<CapturedGraph>(work);
}

}  // namespace trainyard
