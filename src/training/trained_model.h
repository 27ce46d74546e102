/// Creates the model of a run, and loads the model of a checkpoint.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "checkpoint/manifest.h"
#include "config/config.h"
#include "models/model.h"
#include "tasks/task.h"

namespace trainyard {

/// Creates a model for `input` on `device`, with convolution weights in channels-last format, checks that it returns
/// the required outputs (models/check_forward.h), and freezes what the configuration says (models/freeze.h). Initial
/// weights are drawn on the CPU from the default generator, so they are the same on every device. Throws what
/// make_model(), check_forward() and freeze() throw.
std::shared_ptr<Model> new_model(const ModelConfig& config, const ModelInput& input, at::Device device);

/// A checkpoint's model and task, ready to evaluate.
struct TrainedModel {
  Manifest manifest;
  Config config;
  std::unique_ptr<Task> task;    ///< on the device
  std::shared_ptr<Model> model;  ///< on the device, in evaluation mode
};

/// The description of the data in `manifest`.
TaskData task_data(const Manifest& manifest);

/// Loads model and manifest from the step folder `checkpoint`. Loads the averaged weights if there are any, because
/// those were evaluated in training. Throws RunError if the checkpoint is damaged.
TrainedModel load_trained_model(const std::filesystem::path& checkpoint, at::Device device);

}  // namespace trainyard
