/// A training step that is repeated: on a GPU it is captured in a CUDA graph and replayed. A small net's step is ruled
/// by the CPU's time for its launches; a replay is one.
#pragma once

#include <functional>
#include <memory>

#include "training/cuda_graph.h"
#include "util/tensor_dict.h"
#include "util/torch.h"

namespace trainyard {

struct StepResult {
  at::Tensor loss;     ///< the batch's mean loss, a scalar on the device, without a graph
  TensorDict outputs;  ///< of the model, floating-point ones at least float32, without a graph
  at::Tensor sums;     ///< what MetricSums adds up
};

/// Does `step` for one batch after another, with the same results bit for bit as calling it. Used from one thread.
class StepGraph {
 public:
  /// All that `step` depends on is its batch, on `device`, and tensors there that live as long as this and stay where
  /// they are. Captures only where `enabled`.
  StepGraph(std::function<StepResult(const TensorDict&)> step, at::Device device, bool enabled);

  /// The first batches of a shape go through `step` itself, in which cuDNN finds its algorithms; then it is captured.
  /// Batches of another shape still go through `step`. The result is valid until the next call. Throws RunError where
  /// the step cannot be captured, and what `step` throws.
  StepResult operator()(const TensorDict& batch);

  /// Captures nothing from now on; the first call warns, with the reason. REQUIRES that nothing is captured yet.
  void launch_without_graph(const char* reason);

 private:
  void capture(const TensorDict& batch);

  std::function<StepResult(const TensorDict&)> step_;
  at::Device device_;
  bool enabled_;
  int seen_ = 0;  // batches one after another like input_, whose tensors are their own once it is captured
  TensorDict input_;
  StepResult result_;
  std::unique_ptr<CudaGraph> graph_;
};

}  // namespace trainyard
