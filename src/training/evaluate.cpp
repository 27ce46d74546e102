#include "training/evaluate.h"

#include "training/precision.h"

namespace trainyard {

Scores evaluate(Model& model, DataLoader& loader, const Normalize& normalize, at::Device device,
                const std::string& precision, std::int64_t most_batches) {
  const at::NoGradGuard no_grad;
  const bool was_training = model.is_training();
  model.eval();
  ScoreSums sums(device);
  loader.start_epoch(0);
  DeviceLoader batches(loader, normalize, device);
  while (const std::optional<DeviceBatch> batch = batches.next()) {
    const Autocast autocast(precision, device.type());
    const at::Tensor logits = model.forward(batch->images).to(at::kFloat);
    sums.add(at::cross_entropy_loss(logits, batch->labels), logits, batch->labels);
    if (batch->number + 1 == most_batches) break;
  }
  model.train(was_training);
  return sums.mean();
}

}  // namespace trainyard
