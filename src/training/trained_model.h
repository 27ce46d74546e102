/// Models as a run makes them and as a checkpoint gives them back.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "checkpoint/manifest.h"
#include "config/config.h"
#include "loader_torch/normalize.h"
#include "models/model.h"

namespace trainyard {

/// What samples of height × width × channels ask of a model. Throws RunError for samples of another rank.
ModelInput model_input(const std::vector<std::int64_t>& sample_shape, std::size_t classes);

/// A new model for such samples, on `device`, convolutions in channels-last format, proved to give one score for each
/// class (models/check_forward.h). Initial weights are drawn on the CPU from the default generator, so they are the
/// same for every device. Throws what make_model() and check_forward() throw.
std::shared_ptr<Model> new_model(const ModelConfig& config, const std::vector<std::int64_t>& sample_shape,
                                 std::size_t classes, at::Device device);

/// A checkpoint's model with what its inputs need, ready to evaluate.
struct TrainedModel {
  Manifest manifest;
  Config config;
  std::shared_ptr<Model> model;  ///< on the device, in evaluation mode
  Normalize normalize;
};

/// Reads model and manifest of the step folder `checkpoint`; the averaged weights where it has them, as those are what
/// training evaluated. Throws RunError for a damaged one.
TrainedModel load_trained_model(const std::filesystem::path& checkpoint, at::Device device);

}  // namespace trainyard
