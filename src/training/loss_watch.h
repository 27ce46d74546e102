/// The losses of steps, read without a wait for the GPU in every step.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "util/torch.h"

namespace trainyard {

/// Each loss is copied to the host behind the step's back and looked at when it has come, a few steps later at most.
/// Used from one thread.
class LossWatch {
 public:
  /// What a loss is of.
  struct Origin {
    std::int64_t epoch;  ///< from 0
    std::int64_t batch;  ///< of the epoch, from 0
    std::int64_t step;   ///< optimizer step, from 1
    double learning_rate;
  };
  struct Known {
    Origin origin;
    double loss;
  };

  /// loss: a float scalar on the CPU or a GPU.
  void add(const at::Tensor& loss, const Origin& origin);

  /// The oldest loss that is known by now, once; `all`: waits for those still on their way.
  std::optional<Known> next(bool all = false);

 private:
  struct Entry {
    Origin origin;
    at::Tensor loss;  // on the CPU
    std::optional<c10::Event> arrived;
  };
  std::deque<Entry> entries_;
};

}  // namespace trainyard
