/// Models as a run makes them and as a checkpoint gives them back.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "checkpoint/manifest.h"
#include "config/config.h"
#include "models/model.h"
#include "tasks/task.h"

namespace trainyard {

/// A new model for `input`, on `device`, convolutions in channels-last format, proved to return what is asked for
/// (models/check_forward.h), frozen as the configuration asks (models/freeze.h). Initial weights are drawn on the CPU
/// from the default generator, so they are the same for every device. Throws what make_model(), check_forward() and
/// freeze() throw.
std::shared_ptr<Model> new_model(const ModelConfig& config, const ModelInput& input, at::Device device);

/// A checkpoint's model and task, ready to evaluate.
struct TrainedModel {
  Manifest manifest;
  Config config;
  std::unique_ptr<Task> task;    ///< on the device
  std::shared_ptr<Model> model;  ///< on the device, in evaluation mode
};

/// What `manifest` says of the data.
TaskData task_data(const Manifest& manifest);

/// Reads model and manifest of the step folder `checkpoint`; the averaged weights where it has them, as those are what
/// training evaluated. Throws RunError for a damaged one.
TrainedModel load_trained_model(const std::filesystem::path& checkpoint, at::Device device);

}  // namespace trainyard
