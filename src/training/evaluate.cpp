#include "training/evaluate.h"

#include <ATen/ops/cross_entropy_loss.h>

#include "training/class_batch.h"
#include "training/precision.h"

namespace trainyard {

Scores evaluate(Model& model, DeviceLoader& batches, const Normalize& normalize, Precision precision,
                std::int64_t most_batches) {
  const at::NoGradGuard no_grad;
  const bool was_training = model.is_training();
  model.eval();
  ScoreSums sums(batches.device());
  batches.start_epoch(0, /*first_batch=*/0, most_batches);
  while (const std::optional<DeviceBatch> delivered = batches.next()) {
    const ClassBatch batch = class_batch(*delivered, normalize);
    const Autocast autocast(precision, batches.device().type());
    const at::Tensor logits = model.forward({{"image", batch.images}}).at("logits").to(at::kFloat);
    sums.add(sums_of(at::cross_entropy_loss(logits, batch.labels), logits, batch.labels));
  }
  model.train(was_training);
  return sums.mean();
}

}  // namespace trainyard
