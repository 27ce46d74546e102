/// Predicts with the model of a checkpoint, for `trainyard predict`.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "commands/prediction_writer.h"
#include "loader_torch/device_batch.h"
#include "tasks/findings.h"
#include "training/trained_model.h"

namespace trainyard {

/// One per sample of a batch; nullopt if the model's outputs for it are not finite.
using Predictions = std::vector<std::optional<Prediction>>;

/// Throws UsageError if the inputs of predict lack one of the `fields` that a model reads: an image file has the field
/// "image", a row of a table those whose columns have names.
void require_inputs(const std::vector<Field>& fields, bool of_images);

/// Not thread-safe.
class Predictor {
 public:
  /// `trained`, which is on `device`, must outlive it. `mirror`: averages the outputs with those of the mirrored
  /// images.
  Predictor(const TrainedModel& trained, at::Device device, Precision precision, const PredictOptions& options,
            bool mirror)
      : trained_(trained), device_(device), precision_(precision), options_(options), mirror_(mirror) {}

  /// The fields that a batch must have.
  std::vector<Field> fields() const { return trained_.task->model_input().fields; }
  at::Device device() const { return device_; }

  /// Returns the predictions of a batch on the device. Throws RunError if the task does not return one per sample.
  Predictions operator()(const DeviceBatch& raw) const;

 private:
  const TrainedModel& trained_;
  at::Device device_;
  Precision precision_;
  PredictOptions options_;
  bool mirror_;
};

/// Writes the answer to each of `inputs`, which have a `name` and an `error`: the error or, for those without one, the
/// next of `predictions`.
template <typename Inputs>
void write_answers(const Inputs& inputs, const Predictions& predictions, PredictionWriter& writer) {
  std::size_t next = 0;
  for (const auto& input : inputs) {
    if (input.error.empty()) {
      writer.answer_file(input.name, predictions[next++]);
    } else {
      writer.refuse_file(input.name, input.error);
    }
  }
}

}  // namespace trainyard
