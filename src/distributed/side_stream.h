/// Runs work on a GPU concurrently with its current stream.
#pragma once

#include <functional>
#include <optional>

#include "util/torch.h"

namespace trainyard {

/// A high-priority stream: work that waits for other GPUs should not also wait to be scheduled on this one. On the CPU
/// there is no stream, and work runs immediately. Can be captured in a CUDA graph with the current stream. Used from
/// one thread at a time.
class SideStream {
 public:
  explicit SideStream(at::Device device);

  /// Runs `work` on the stream, after the work enqueued on the current stream so far. The tensors that it reads must
  /// live until join().
  void run(const std::function<void()>& work);
  /// Makes the current stream wait for all of that work.
  void join();

 private:
  std::optional<c10::Stream> stream_;
};

}  // namespace trainyard
