#include "training/step_graph.h"

#include <algorithm>

#include <ATen/Context.h>
#include <ATen/ops/empty_like.h>

#include "util/log.h"

namespace trainyard {
namespace {

constexpr int steps_before_capture = 3;

bool are_alike(const TensorDict& a, const TensorDict& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.first == y.first && x.second.sizes() == y.second.sizes() && x.second.dtype() == y.second.dtype();
  });
}

}  // namespace

StepGraph::StepGraph(std::function<StepResult(const TensorDict&)> step, at::Device device, bool enabled)
    : step_(std::move(step)), device_(device), enabled_(enabled && device.is_cuda()) {}

StepResult StepGraph::operator()(const TensorDict& batch) {
  if (!enabled_) return step_(batch);
  if (!are_alike(batch, input_)) {
    if (graph_) return step_(batch);
    input_ = batch;
    seen_ = 0;
  }
  if (!graph_ && seen_++ == steps_before_capture) capture(batch);
  if (!graph_) return step_(batch);
  for (auto& [name, tensor] : input_) tensor.copy_(batch.at(name));
  graph_->replay();
  return result_;
}

void StepGraph::launch_without_graph(const char* reason) {
  if (!enabled_) return;
  enabled_ = false;
  log_warning("[training] {}: the steps are launched one kernel after another", reason);
}

void StepGraph::capture(const TensorDict& batch) {
  input_ = batch;
  for (auto& [name, tensor] : input_) tensor = at::empty_like(tensor);
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
