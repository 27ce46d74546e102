/// Training steps that are repeated: on a GPU each kind is captured in a CUDA graph and replayed. A small net's step is
/// ruled by the CPU's time for its launches; a replay is one.
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

/// What a batch is to its step, the same on all ranks.
struct StepPart {
  bool first = true;
  bool last = true;          ///< the weights change after it
  std::int64_t samples = 0;  ///< of all ranks; not needed by a rank that is alone

  bool operator==(const StepPart&) const = default;
};

struct StepResult {
  at::Tensor loss;     ///< of training: the batch's mean loss, a scalar on the device, without a graph
  TensorDict outputs;  ///< of the model, floating-point ones at least float32, without a graph
  at::Tensor sums;     ///< what MetricSums adds up
  at::Tensor rows{};   ///< of collected metrics, in an evaluation that has some
};

/// Does `step` for one batch after another, with the same results bit for bit as calling it. Used from one thread.
class StepGraph {
 public:
  using Step = std::function<StepResult(const TensorDict& batch, const StepPart& part)>;

  /// All that `step` depends on is its arguments, the batch on `device`, and tensors there that live as long as this
  /// and stay where they are. Captures only where `enabled`. The ranks of `group`, which must outlive it, capture and
  /// replay in the same steps, which REQUIRES that the shapes of a batch follow from its part unless a rank is alone.
  StepGraph(Step step, ProcessGroup& group, at::Device device, bool enabled);

  /// The first steps with a part and shapes of the batch go through `step` itself, in which cuDNN finds its algorithms;
  /// then such a step is captured. There are few such kinds: whole steps, the parts of a step, each also with fewer
  /// samples at an epoch's end; where there are many more, as with texts of all lengths, only the first are captured.
  /// They share their memory. The result is valid until the next call. Throws RunError where the step cannot be
  /// captured, and what `step` throws.
  StepResult operator()(const TensorDict& batch, const StepPart& part);

  /// Captures nothing from now on; the first call warns, with the reason. REQUIRES that nothing is captured yet.
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
  std::vector<Kind> kinds_;
};

}  // namespace trainyard
