#include "training/train_step.h"

#include "training/precision.h"

namespace trainyard {

TrainStep::TrainStep(Model& model, Optimizer& optimizer, const TrainConfig& config)
    : model_(model), optimizer_(optimizer), config_(config) {}

TrainStep::Result TrainStep::operator()(const DeviceBatch& batch, double learning_rate) {
  at::Tensor logits;
  {
    const Autocast autocast(config_.precision, batch.images.device().type());
    logits = model_.forward(batch.images);
  }
  logits = logits.to(at::kFloat);
  const at::Tensor loss = at::cross_entropy_loss(logits, batch.labels, /*weight=*/{}, at::Reduction::Mean,
                                                 /*ignore_index=*/-100, config_.label_smoothing);
  optimizer_.zero_grad();
  loss.backward();
  optimizer_.set_learning_rate(learning_rate);
  optimizer_.step();
  return {.loss = loss.detach(), .logits = logits.detach()};
}

}  // namespace trainyard
