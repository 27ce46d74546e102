#include "training/train_step.h"

#include <algorithm>

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/ones_like.h>
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
                     const TrainConfig& config, ProcessGroup& group)
    : model_(model),
      optimizer_(optimizer),
      task_(task),
      metrics_(metrics),
      config_(config),
      group_(group),
      scaler_(config.precision == Precision::fp16, device_of(model)),
      skips_(config.on_nonfinite == OnNonfinite::skip),
      side_(device_of(model)),
      buffer_average_(group, side_, model.buffers()),
      graph_([this](const TensorDict& batch, const StepPart& part) { return run(batch, part); }, group,
             device_of(model), config.cuda_graph) {
  if (skips_) buffers_ = model.buffers();
  if (skips_ || scaler_.enabled()) found_inf_ = at::zeros({1}, at::TensorOptions(device_of(model)).dtype(at::kFloat));
}

StepResult TrainStep::operator()(const TensorDict& batch, double learning_rate, const StepPart& part) {
  optimizer_.set_learning_rate(learning_rate);
  if (!buckets_ && !(group_.alone() && part.first && part.last)) make_buckets();
  return graph_(batch, part);
}

void TrainStep::make_buckets() {
  const at::TensorOptions number = at::TensorOptions(device_of(model_)).dtype(at::kDouble);
  buckets_ = std::make_unique<GradientBuckets>(group_, side_, optimizer_.parameters());
  weight_ = at::zeros({}, number);
  total_weight_ = at::zeros({}, number);
}

StepResult TrainStep::run(const TensorDict& batch, const StepPart& part) {
  optimizer_.zero_grad();
  if (part.first && found_inf_.defined()) found_inf_.zero_();
  std::vector<at::Tensor> buffers_before;
  for (const at::Tensor& buffer : buffers_) buffers_before.push_back(buffer.clone());

  const bool has_samples = batch.size() > 0;
  TensorDict outputs;
  Loss loss;
  at::Tensor sums;
  if (has_samples) {
    outputs = recomputing_forward(batch);
    loss = task_.loss(outputs, batch, Phase::train);
    sums = metrics_.sums_of(outputs, batch, loss, samples_of(batch));
  } else {
    const at::TensorOptions on_device = at::TensorOptions(device_of(model_)).dtype(at::kDouble);
    loss = {.sum = at::zeros({}, on_device), .weight = at::zeros({}, on_device)};
    sums = at::zeros({metrics_.size()}, on_device);
  }
  if (!group_.alone()) begin_totals(loss, sums, part, has_samples);
  backward(loss, part);

  const at::NoGradGuard no_grad;
  Loss whole{loss.sum.detach(), loss.weight.detach()};
  if (!group_.alone()) {
    side_.join();
    group_.finish();
    buffer_average_.finish();
    whole = {.sum = totals_[0], .weight = totals_[1]};
    sums = totals_.slice(0, 2).masked_fill(flag_not_finite(whole.sum).to(at::kBool), 0);
    total_weight_.add_(whole.weight);
  }
  const at::Tensor mean = whole.mean().to(at::kFloat);
  if (skips_) {
    const at::Tensor bad = flag_not_finite(mean);
    found_inf_.copy_(at::maximum(found_inf_, bad));
    for (std::size_t i = 0; i < buffers_.size(); ++i) {
      buffers_[i].copy_(at::where(bad.to(at::kBool), buffers_before[i], buffers_[i]));
    }
  }
  if (part.last) update();
  StepResult result{.loss = mean, .outputs = {}, .sums = sums};
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
    graph_.launch_without_graph(
        "stages that are recomputed draw random numbers, as dropout does, and a CUDA graph would draw others the "
        "second time");
  }
  return outputs;
}

// What is summed over the ranks beside the gradients, while backward runs.
void TrainStep::begin_totals(const Loss& loss, const at::Tensor& sums, const StepPart& part, bool has_samples) {
  const at::NoGradGuard no_grad;
  const at::Tensor loss_and_weight =
      at::stack({loss.sum.detach().to(at::kDouble), loss.weight.detach().to(at::kDouble)});
  if (part.first) total_weight_.zero_();
  totals_ = at::cat({loss_and_weight, sums});
  side_.run([&] { group_.begin_all_reduce(totals_); });
  const std::int64_t ranks = group_.rank().world_size;
  buffer_average_.begin(has_samples, static_cast<int>(std::min(part.samples, ranks)));
}

// The gradients of a step are kept as those of the mean over this rank's batches so far: they neither grow with the
// number of samples, which float16 could not hold, nor need another pass if there is one batch and one rank.
void TrainStep::backward(const Loss& loss, const StepPart& part) {
  const bool has_graph = loss.sum.requires_grad();
  if (!buckets_) {
    scaler_.scale(loss.mean()).backward();
    return;
  }
  at::Tensor kept;
  {
    const at::NoGradGuard no_grad;
    const at::Tensor before = weight_.clone();
    if (part.first) before.zero_();
    weight_.copy_(before + loss.weight.detach());
    if (!part.first) kept = at::where(weight_ > 0, before / weight_, at::ones_like(weight_)).to(at::kFloat);
  }
  buckets_->begin(
      {.first = part.first, .last = part.last, .kept = kept, .factor = [this] { return share_of_gradient(); }});
  if (has_graph) scaler_.scale(Loss{loss.sum, weight_.to(loss.sum.dtype())}.mean()).backward();
  buckets_->finish();
}

// From the gradient of this rank's mean loss to its part in that of the mean over all ranks.
at::Tensor TrainStep::share_of_gradient() {
  const at::Tensor total = total_weight_ + totals_[1];
  return at::where(total > 0, weight_ / total, at::zeros_like(total));
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
