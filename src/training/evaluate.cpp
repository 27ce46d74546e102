#include "training/evaluate.h"

#include <ATen/ops/cross_entropy_loss.h>

#include "training/precision.h"

namespace trainyard {

Scores evaluate(Model& model, DeviceLoader& batches, Precision precision, std::int64_t most_batches) {
  const at::NoGradGuard no_grad;
  const bool was_training = model.is_training();
  model.eval();
  ScoreSums sums(batches.device());
  batches.start_epoch(0, /*first_batch=*/0, most_batches);
  while (const std::optional<DeviceBatch> batch = batches.next()) {
    const Autocast autocast(precision, batches.device().type());
    const at::Tensor logits = model.forward({{"image", batch->images}}).at("logits").to(at::kFloat);
    sums.add(sums_of(at::cross_entropy_loss(logits, batch->labels), logits, batch->labels));
  }
  model.train(was_training);
  return sums.mean();
}

}  // namespace trainyard
