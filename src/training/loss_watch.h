/// Reads the losses of steps without waiting for the GPU in every step.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "util/torch.h"

namespace trainyard {

/// Copies each loss to the host asynchronously and returns it once it has arrived, at most a few steps later. Used from
/// one thread.
class LossWatch {
 public:
  /// The step that a loss belongs to.
  struct Origin {
    std::int64_t epoch;  ///< of the loader, from 0
    std::int64_t batch;  ///< in that epoch, from 0
    std::int64_t step;   ///< optimizer step, from 1
    double learning_rate;
  };
  struct Known {
    Origin origin;
    double loss;
  };

  /// loss: a float scalar on the CPU or a GPU.
  void add(const at::Tensor& loss, const Origin& origin);

  /// Removes the oldest loss that has arrived and returns it; empty if none has. Waits if too many are on the way.
  std::optional<Known> next();
  /// The same, but waits until the oldest loss has arrived; empty only if there is none.
  std::optional<Known> wait_for_next();

 private:
  Known take();

  struct Entry {
    Origin origin;
    at::Tensor loss;  // on the CPU
    std::optional<c10::Event> arrived;
  };
  std::deque<Entry> entries_;
};

}  // namespace trainyard
