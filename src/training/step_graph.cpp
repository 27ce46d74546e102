#include "training/step_graph.h"

#include <array>

#include <ATen/Context.h>
#include <ATen/ops/empty_like.h>

#include "util/log.h"

namespace trainyard {
namespace {

constexpr int steps_before_capture = 3;

// What a step depends on of its batch.
template <typename Batch>
auto tensors_of(Batch& batch) {
  return std::array{&batch.images, &batch.labels, &batch.other_labels, &batch.share};
}

bool are_alike(const ClassBatch& a, const ClassBatch& b) {
  const auto of_a = tensors_of(a);
  const auto of_b = tensors_of(b);
  for (std::size_t i = 0; i < of_a.size(); ++i) {
    if (of_a[i]->defined() != of_b[i]->defined()) return false;
    if (of_a[i]->defined() && (of_a[i]->sizes() != of_b[i]->sizes() || of_a[i]->dtype() != of_b[i]->dtype())) {
      return false;
    }
  }
  return true;
}

}  // namespace

StepGraph::StepGraph(std::function<StepResult(const ClassBatch&)> step, at::Device device, bool enabled)
    : step_(std::move(step)), device_(device), enabled_(enabled && device.is_cuda()) {}

StepResult StepGraph::operator()(const ClassBatch& batch) {
  if (!enabled_) return step_(batch);
  if (!are_alike(batch, input_)) {
    if (graph_) return step_(batch);
    input_ = batch;
    seen_ = 0;
  }
  if (!graph_ && seen_++ == steps_before_capture) capture(batch);
  if (!graph_) return step_(batch);
  const auto from = tensors_of(batch);
  const auto to = tensors_of(input_);
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i]->defined()) to[i]->copy_(*from[i]);
  }
  graph_->replay();
  return result_;
}

void StepGraph::capture(const ClassBatch& batch) {
  input_ = batch;
  for (at::Tensor* const tensor : tensors_of(input_)) {
    if (tensor->defined()) *tensor = at::empty_like(*tensor);
  }
  at::Generator random = at::globalContext().defaultGenerator(at::kCPU);
  const at::Tensor before = random.get_state();
  graph_ = capture_cuda_graph(device_, [this] { result_ = step_(input_); });
  if (graph_ && at::equal(random.get_state(), before)) return;
  if (graph_) {
    log_warning(
        "[training] the model draws random numbers on the CPU, which a CUDA graph would repeat: its steps are launched "
        "one kernel after another; draw them on the GPU, or set train.cuda_graph = false");
    random.set_state(before);
  }
  enabled_ = false;
  graph_.reset();
  input_ = {};
  result_ = {};
}

}  // namespace trainyard
