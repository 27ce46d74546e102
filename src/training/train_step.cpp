#include "training/train_step.h"

#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/promote_types.h>

#include "training/metrics.h"
#include "training/precision.h"

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

TrainStep::TrainStep(Model& model, Optimizer& optimizer, const TrainConfig& config)
    : model_(model),
      optimizer_(optimizer),
      config_(config),
      scaler_(config.precision == Precision::fp16, device_of(model)),
      skips_(config.on_nonfinite == OnNonfinite::skip),
      whole_step_([this](const ClassBatch& batch) { return run(batch, {}); }, device_of(model), config.cuda_graph) {
  if (skips_) buffers_ = model.buffers();
  if (skips_ || scaler_.enabled()) found_inf_ = at::zeros({1}, at::TensorOptions(device_of(model)).dtype(at::kFloat));
}

StepResult TrainStep::operator()(const ClassBatch& batch, double learning_rate, const StepPart& part) {
  optimizer_.set_learning_rate(learning_rate);
  return part.first && part.last ? whole_step_(batch) : run(batch, part);
}

StepResult TrainStep::run(const ClassBatch& batch, const StepPart& part) {
  if (part.first) {
    optimizer_.zero_grad();
    if (found_inf_.defined()) found_inf_.zero_();
  }
  std::vector<at::Tensor> buffers_before;
  for (const at::Tensor& buffer : buffers_) buffers_before.push_back(buffer.clone());

  at::Tensor logits;
  {
    const Autocast autocast(config_.precision, batch.images.device().type());
    logits = model_.forward({{"image", batch.images}}).at("logits");
  }
  logits = logits.to(at::promote_types(logits.scalar_type(), at::kFloat));
  const at::Tensor loss = loss_of(logits, batch);
  scaler_.scale(part.weight == 1 ? loss : loss * part.weight).backward();

  if (skips_) {
    const at::NoGradGuard no_grad;
    const at::Tensor bad = flag_not_finite(loss.detach());
    found_inf_.copy_(at::maximum(found_inf_, bad));
    for (std::size_t i = 0; i < buffers_.size(); ++i) {
      buffers_[i].copy_(at::where(bad.to(at::kBool), buffers_before[i], buffers_[i]));
    }
  }
  if (part.last) update();
  return {.loss = loss.detach(), .logits = logits.detach(), .sums = sums_of(loss, logits, batch.labels)};
}

at::Tensor TrainStep::loss_of(const at::Tensor& logits, const ClassBatch& batch) const {
  const auto cross_entropy = [&](const at::Tensor& labels) {
    return at::cross_entropy_loss(logits, labels, /*weight=*/{}, at::Reduction::Mean, /*ignore_index=*/-100,
                                  config_.label_smoothing);
  };
  if (!batch.other_labels.defined()) return cross_entropy(batch.labels);
  return batch.share * cross_entropy(batch.labels) + (1 - batch.share) * cross_entropy(batch.other_labels);
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
