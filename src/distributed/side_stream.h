/// Work on a GPU beside its current stream.
#pragma once

#include <functional>
#include <optional>

#include "util/torch.h"

namespace trainyard {

/// A stream of high priority: what waits for other GPUs should not also wait for a place on this one. On the CPU there
/// is none and the work is done at once. Can be captured in a CUDA graph with the current stream. Used from one thread
/// at a time.
class SideStream {
 public:
  explicit SideStream(at::Device device);

  /// Does `work` on the stream, after what the current stream has been given so far. What it reads has to stay until
  /// join().
  void run(const std::function<void()>& work);
  /// The current stream goes on after all of that.
  void join();

 private:
  std::optional<c10::Stream> stream_;
};

}  // namespace trainyard
