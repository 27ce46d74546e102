#include "training/train_step.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/_foreach_clamp_max.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/zeros_like.h>

#include "layers/recompute.h"
#include "training/benchmark_convolutions.h"
#include "training/forward.h"
#include "training/recording.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/first_few.h"
#include "util/log.h"

namespace trainyard {
namespace {

at::Device device_of(const Model& model) { return model.parameters().front().device(); }

// Like torch.nn.utils.clip_grad_norm_. Returns the norm before clipping.
at::Tensor clip_grad_norm(std::vector<at::Tensor>& gradients, double largest) {
  const at::Tensor norm = at::stack(at::_foreach_norm(gradients)).norm();
  at::_foreach_mul_(gradients, (largest / (norm + 1e-6)).clamp_max(1));
  return norm;
}

// Like torch.nn.utils.clip_grad_value_.
void clip_grad_value(std::vector<at::Tensor>& gradients, double largest) {
  at::_foreach_clamp_min_(gradients, -largest);
  at::_foreach_clamp_max_(gradients, largest);
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
  // A smaller batch comes once per epoch, at its end: measuring would take longer than it could save.
  most_samples_ = std::max(most_samples_, part.samples);
  const BenchmarkConvolutions benchmark(part.samples == most_samples_);
  return graph_(batch, part);
}

void TrainStep::make_buckets() {
  buckets_ = std::make_unique<GradientBuckets>(group_, side_, optimizer_.parameters());
  weight_ = at::zeros({}, at::TensorOptions(device_of(model_)).dtype(at::kDouble));
}

SumTimes TrainStep::time_sums() {
  constexpr int times = 3;
  if (!buckets_) make_buckets();
  const at::NoGradGuard no_grad;
  const at::Device device = device_of(model_);
  const at::Tensor totals = at::zeros({2 + metrics_.size()}, at::TensorOptions(device).dtype(at::kDouble));
  const auto seconds_from = [&](std::size_t first) {
    wait_for_device(device);
    const std::int64_t start = monotonic_ns();
    group_.all_reduce(totals);
    buckets_->sum_from(first);
    wait_for_device(device);
    return seconds_since(start);
  };
  const double connecting = seconds_from(0);  // the first sums also set up connections
  SumTimes fastest{.all = connecting, .unhidden = connecting};
  for (int i = 0; i < times; ++i) {
    fastest.all = std::min(fastest.all, seconds_from(0));
    fastest.unhidden = std::min(fastest.unhidden, seconds_from(buckets_->size() - 1));
  }
  return fastest;
}

StepResult TrainStep::run(const TensorDict& batch, const StepPart& part) {
  optimizer_.zero_grad();
  if (part.first && found_inf_.defined()) found_inf_.zero_();
  std::vector<at::Tensor> buffers_before;
  for (const at::Tensor& buffer : buffers_) buffers_before.push_back(buffer.clone());

  const bool has_samples = batch.size() > 0;
  Loss loss;
  at::Tensor sums;
  if (has_samples) {
    // Released before the backward pass: the scores of a large vocabulary are a large part of the memory.
    const TensorDict outputs = recomputing_forward(batch);
    loss = task_.loss(outputs, batch, Phase::train);
    sums = metrics_.sums_of(outputs, batch, loss, samples_of(batch));
    if (!loss.sum.requires_grad()) {
      throw RunError("training",
                     "the loss depends on no trained parameter of the model: look for a detach() or a NoGradGuard in "
                     "the model's forward() and the task's loss()");
    }
  } else {
    const at::TensorOptions on_device = at::TensorOptions(device_of(model_)).dtype(at::kDouble);
    loss = {.sum = at::zeros({}, on_device), .weight = at::zeros({}, on_device)};
    sums = at::zeros({metrics_.size()}, on_device);
  }
  Loss whole{loss.sum.detach(), loss.weight.detach()};
  if (!group_.alone()) {
    add_up_ranks(whole, sums);
    buffer_average_.begin(has_samples,
                          static_cast<int>(std::min<std::int64_t>(part.samples, group_.rank().world_size)));
  }
  backward(loss.sum, whole.weight, part);
  // Of a batch without samples, only buckets have gradients: those of other ranks.
  const bool has_gradients = part.last && (has_samples || buckets_ != nullptr);
  if (has_gradients && !std::exchange(warned_of_untrained_, true)) warn_of_untrained_parameters();

  const at::NoGradGuard no_grad;
  // A skipped batch counts in no metric.
  sums = sums.masked_fill((whole.sum - whole.sum).ne(0), 0);
  if (!group_.alone()) {
    side_.join();
    group_.finish();
    buffer_average_.finish();
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
  return {.loss = mean, .sums = sums};
}

TensorDict TrainStep::recomputing_forward(const TensorDict& batch) {
  const Recompute recompute(config_.recompute);
  TensorDict outputs = forward(model_, task_, batch, config_.precision);
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

// After the backward pass of the first step, which is not captured.
void TrainStep::warn_of_untrained_parameters() const {
  constexpr std::size_t most_named = 5;
  std::vector<std::string> names;
  for (const auto& [name, parameter] : optimizer_.parameters()) {
    if (!parameter.grad().defined()) names.push_back(name);
  }
  if (names.empty() || !group_.rank().is_first()) return;
  log_warning(
      "[model] {} of the model's parameters have no gradient and stay as they are: {}; look for a detach(), or set "
      "model.freeze",
      names.size(), first_few(names, most_named));
}

// Called before backward, so that each rank's gradient is already its part of the gradient of the whole batch's mean
// loss and needs no further pass.
void TrainStep::add_up_ranks(Loss& loss, at::Tensor& sums) {
  const at::NoGradGuard no_grad;
  const at::Tensor totals = at::cat({at::stack({loss.sum, loss.weight}).to(at::kDouble), sums});
  group_.all_reduce(totals);
  loss = {.sum = totals[0], .weight = totals[1]};
  sums = totals.slice(0, 2);
}

// Keeps the gradients of a step as those of the mean over its batches so far: they do not grow with the number of
// samples, which float16 could not represent, and need no further pass if there is only one batch.
void TrainStep::backward(const at::Tensor& sum, const at::Tensor& weight, const StepPart& part) {
  at::Tensor total = weight;
  if (buckets_) {
    const at::NoGradGuard no_grad;
    at::Tensor kept;
    if (part.first) {
      weight_.copy_(weight);
    } else {
      total = weight_ + weight;
      kept = at::where(total > 0, weight_ / total, at::zeros_like(total));
      weight_.copy_(total);
    }
    buckets_->begin({.first = part.first, .last = part.last, .kept = kept});
  }
  // False on a rank without samples.
  if (sum.requires_grad()) scaler_.scale(Loss{sum, total.to(sum.dtype())}.mean()).backward();
  if (buckets_) buckets_->finish();
}

void TrainStep::update() {
  const at::NoGradGuard no_grad;
  if (scaler_.enabled() || config_.clip_grad_norm > 0 || config_.clip_grad_value > 0) {
    std::vector<at::Tensor> gradients = optimizer_.gradients();
    scaler_.unscale(gradients, found_inf_);
    if (config_.clip_grad_norm > 0) {
      const at::Tensor norm = clip_grad_norm(gradients, config_.clip_grad_norm);
      if (found_inf_.defined()) found_inf_.copy_(at::maximum(found_inf_, flag_not_finite(norm)));
    }
    if (config_.clip_grad_value > 0) clip_grad_value(gradients, config_.clip_grad_value);
  }
  optimizer_.step(found_inf_);
  scaler_.update(found_inf_);
}

}  // namespace trainyard
