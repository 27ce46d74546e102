/// A training step that is repeated: on a GPU it is captured in a CUDA graph and replayed. A small net's step is ruled
/// by the CPU's time for its launches; a replay is one.
#pragma once

#include <functional>
#include <memory>

#include "training/class_batch.h"
#include "training/cuda_graph.h"

namespace trainyard {

struct StepResult {
  at::Tensor loss;    ///< mean cross-entropy with label smoothing, a scalar on the device, without a graph
  at::Tensor logits;  ///< N × classes, float32 (float64 of a float64 model), without a graph
  at::Tensor sums;    ///< what ScoreSums adds up
};

/// Does `step` for one batch after another, with the same results bit for bit as calling it. Used from one thread.
class StepGraph {
 public:
  /// All that `step` depends on is its batch, on `device`, and tensors there that live as long as this and stay where
  /// they are. Captures only where `enabled`.
  StepGraph(std::function<StepResult(const ClassBatch&)> step, at::Device device, bool enabled);

  /// The first batches of a shape go through `step` itself, in which cuDNN finds its algorithms; then it is captured.
  /// Batches of another shape still go through `step`. The result is valid until the next call. Throws RunError where
  /// the step cannot be captured, and what `step` throws.
  StepResult operator()(const ClassBatch& batch);

 private:
  void capture(const ClassBatch& batch);

  std::function<StepResult(const ClassBatch&)> step_;
  at::Device device_;
  bool enabled_;
  int seen_ = 0;  // batches one after another like input_, whose tensors are their own once it is captured
  ClassBatch input_{};
  StepResult result_;
  std::unique_ptr<CudaGraph> graph_;
};

}  // namespace trainyard
