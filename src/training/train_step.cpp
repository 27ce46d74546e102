#include "training/train_step.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/zeros_like.h>

#include "layers/recompute.h"
#include "training/forward.h"
#include "util/error.h"

namespace trainyard {
namespace {

at::Device device_of(const Model& model) { return model.parameters().front().device(); }

// As torch.nn.utils.clip_grad_norm_. Returns the norm before it.
at::Tensor clip_grad_norm(std::vector<at::Tensor>& gradients, double largest) {
  const at::Tensor norm = at::stack(at::_foreach_norm(gradients)).norm();
  at::_foreach_mul_(gradients, (largest / (norm + 1e-6)).clamp_max(1));
  return norm;
}

at::Tensor flag_not_finite(const at::Tensor& number) { return number.isfinite().logical_not().to(at::kFloat); }

}  // namespace

TrainStep::TrainStep(Model& model, Optimizer& optimizer, const Task& task, const MetricSet& metrics,
                     const TrainConfig& config)
    : model_(model),
      optimizer_(optimizer),
      task_(task),
      metrics_(metrics),
      config_(config),
      scaler_(config.precision == Precision::fp16, device_of(model)),
      skips_(config.on_nonfinite == OnNonfinite::skip),
      whole_step_([this](const TensorDict& batch) { return run(batch, {}); }, device_of(model), config.cuda_graph) {
  if (skips_) buffers_ = model.buffers();
  if (skips_ || scaler_.enabled()) found_inf_ = at::zeros({1}, at::TensorOptions(device_of(model)).dtype(at::kFloat));
}

StepResult TrainStep::operator()(const TensorDict& batch, double learning_rate, const StepPart& part) {
  optimizer_.set_learning_rate(learning_rate);
  return part.first && part.last ? whole_step_(batch) : run(batch, part);
}

StepResult TrainStep::run(const TensorDict& batch, const StepPart& part) {
  if (part.first) {
    optimizer_.zero_grad();
    if (found_inf_.defined()) found_inf_.zero_();
  }
  std::vector<at::Tensor> buffers_before;
  for (const at::Tensor& buffer : buffers_) buffers_before.push_back(buffer.clone());

  const TensorDict outputs = recomputing_forward(batch);
  const Loss loss = task_.loss(outputs, batch, Phase::train);
  backward(loss, part);

  const at::NoGradGuard no_grad;
  const at::Tensor mean = Loss{loss.sum.detach(), loss.weight.detach()}.mean();
  if (skips_) {
    const at::Tensor bad = flag_not_finite(mean);
    found_inf_.copy_(at::maximum(found_inf_, bad));
    for (std::size_t i = 0; i < buffers_.size(); ++i) {
      buffers_[i].copy_(at::where(bad.to(at::kBool), buffers_before[i], buffers_[i]));
    }
  }
  if (part.last) update();
  StepResult result{.loss = mean, .outputs = {}, .sums = metrics_.sums_of(outputs, batch, loss, samples_of(batch))};
  for (const auto& [name, tensor] : outputs) result.outputs.set(name, tensor.detach());
  return result;
}

TensorDict TrainStep::recomputing_forward(const TensorDict& batch) {
  const Recompute recompute(config_.recompute);
  TensorDict outputs = forward(model_, batch, config_.precision);
  if (config_.recompute && recompute.stages() == 0) {
    throw UsageError("train.recompute",
                     "the model has no stages that are recomputed (layers/recompute.h); set it to false");
  }
  if (recompute.draws_on_gpu()) {
    whole_step_.launch_without_graph(
        "stages that are recomputed draw random numbers, as dropout does, and a CUDA graph would draw others the "
        "second time");
  }
  return outputs;
}

// The gradients of a step are kept as those of the mean over its batches so far: they neither grow with the number of
// samples, which float16 could not hold, nor need another pass if there is one batch.
void TrainStep::backward(const Loss& loss, const StepPart& part) {
  const at::Tensor weight = loss.weight.detach();
  const at::Tensor total = part.first ? weight : weight_ + weight;
  if (!part.first) {
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> gradients = optimizer_.gradients();
    at::_foreach_mul_(gradients, at::where(total > 0, weight_ / total, at::zeros_like(total)));
  }
  scaler_.scale(Loss{loss.sum, total}.mean()).backward();
  weight_ = total;
}

void TrainStep::update() {
  const at::NoGradGuard no_grad;
  if (scaler_.enabled() || config_.clip_grad_norm > 0) {
    std::vector<at::Tensor> gradients = optimizer_.gradients();
    scaler_.unscale(gradients, found_inf_);
    if (config_.clip_grad_norm > 0) {
      const at::Tensor norm = clip_grad_norm(gradients, config_.clip_grad_norm);
      if (found_inf_.defined()) found_inf_.copy_(at::maximum(found_inf_, flag_not_finite(norm)));
    }
  }
  optimizer_.step(found_inf_);
  scaler_.update(found_inf_);
}

}  // namespace trainyard
