#include "commands/predictor.h"

#include "training/forward.h"
#include "util/count_of.h"
#include "util/error.h"

namespace trainyard {

void require_inputs(const std::vector<Field>& fields, bool of_images) {
  for (const Field& field : fields) {
    if (of_images ? field.name == "image" : !field.columns.empty()) continue;
    throw UsageError("predict", "the model reads {}, but {}: use trainyard eval, which reads a dataset",
                     describe(fields),
                     of_images ? "an image file has only the field image"
                               : fmt::format("{} has no named columns that a table could have", field.name));
  }
}

Predictions Predictor::operator()(const DeviceBatch& raw) const {
  const at::NoGradGuard no_grad;
  const Task& task = *trained_.task;
  const TensorDict batch = prepare(task, raw, precision_);
  const TensorDict outputs = mirror_ ? forward_mirrored(*trained_.model, task, batch, precision_)
                                     : forward(*trained_.model, task, batch, precision_);
  const at::Tensor finite = are_finite(outputs, raw.count);
  std::vector<Prediction> predicted = task.predict(outputs, options_);
  if (std::ssize(predicted) != raw.count) {
    throw RunError("predict", "the task {} returns {} for {}: its predict() must return one for each",
                   trained_.manifest.task, count_of(predicted.size(), "prediction"), count_of(raw.count, "sample"));
  }
  Predictions predictions;
  for (Prediction& prediction : predicted) {
    const bool is_finite = finite[std::ssize(predictions)].item<bool>();
    predictions.push_back(is_finite ? std::optional(std::move(prediction)) : std::nullopt);
  }
  return predictions;
}

}  // namespace trainyard
