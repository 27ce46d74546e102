/// Records what runs with PyTorch's profiler (Kineto): operations on the CPU and kernels on the GPU.
#pragma once

#include <cstdint>
#include <memory>

#include "util/torch.h"

namespace torch::autograd::profiler {
struct ProfilerResult;
}

namespace trainyard {

/// Waits until `device` has done all that was launched. A GPU runs behind the CPU.
void wait_for_device(at::Device device);

/// Whether to record the shapes of the operations' inputs, which takes time.
enum class InputShapes : std::uint8_t { recorded, omitted };

/// Records from construction to stop(): exactly what was launched in between. Used from one thread. At most one at a
/// time.
class Recording {
 public:
  Recording(at::Device device, InputShapes shapes);
  /// Discards the recording unless it was stopped.
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  /// REQUIRES that it has not been stopped.
  std::unique_ptr<torch::autograd::profiler::ProfilerResult> stop();

 private:
  at::Device device_;
  bool recording_ = true;
};

}  // namespace trainyard
