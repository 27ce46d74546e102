/// Runs repeated steps: on a GPU, captures each kind of step in a CUDA graph and replays it. A small net's step is
/// launch-bound; a replay is a single launch.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "distributed/process_group.h"
#include "training/cuda_graph.h"
#include "util/tensor_dict.h"
#include "util/torch.h"

namespace trainyard {

/// The position of a batch in its optimizer step; the same on all ranks.
struct StepPart {
  bool first = true;
  bool last = true;          ///< the weights are updated after this batch
  std::int64_t samples = 0;  ///< over all ranks; not needed with a single rank

  bool operator==(const StepPart&) const = default;
};

struct StepResult {
  at::Tensor loss;       ///< in training: the batch's mean loss, a scalar on the device, detached
  at::Tensor sums;       ///< the argument of MetricSums::add()
  TensorDict outputs{};  ///< in an evaluation: of the model, as forward() returns them
  at::Tensor rows{};     ///< in an evaluation: of the collected metrics, if there are any
};

/// Runs `step` on one batch after another; the results are bit-identical to calling it. Used from one thread.
class StepGraph {
 public:
  using Step = std::function<StepResult(const TensorDict& batch, const StepPart& part)>;

  /// REQUIRES that `step` depends only on its arguments, with the batch on `device`, and on tensors on `device` that
  /// outlive this object and keep their addresses. Captures only if `enabled`. The ranks of `group`, which must outlive
  /// it, capture and replay in the same steps: with several ranks, REQUIRES that a batch's shapes are a function of its
  /// part. `warns`: whether this rank, if it is the first of `group`, logs why nothing is captured.
  StepGraph(Step step, ProcessGroup& group, at::Device device, bool enabled, bool warns = true);

  /// Each combination of a part and the batch's shapes is a kind of step. The first few steps of a kind call `step`
  /// directly, so that cuDNN can select its algorithms; then the kind is captured. There are usually few kinds: whole
  /// steps and the parts of a step, each also with fewer samples at the end of an epoch. If there are many more, e.g.
  /// with texts of all lengths, only the first ones are captured. Graphs share their memory. The result is valid until
  /// the next call. Throws RunError if the step cannot be captured, and what `step` throws.
  StepResult operator()(const TensorDict& batch, const StepPart& part);

  /// Captures nothing from now on; the first call logs a warning with `reason` on rank 0. REQUIRES that nothing has
  /// been captured.
  void launch_without_graph(const char* reason);

 private:
  struct FieldShape {
    std::string name;
    std::vector<std::int64_t> sizes;
    at::ScalarType type;

    bool is_of(const TensorDict::Entry& field) const;
  };
  struct Kind {
    StepPart part;
    std::vector<FieldShape> shapes;
    int seen = 0;
    // Once captured:
    TensorDict input;
    StepResult result;
    std::unique_ptr<CudaGraph> graph;
  };

  Kind* kind_of(const TensorDict& batch, const StepPart& part);
  void capture(Kind& kind, const TensorDict& batch);

  Step step_;
  ProcessGroup& group_;
  at::Device device_;
  bool enabled_;
  bool warns_;
  std::vector<Kind> kinds_;
};

}  // namespace trainyard
