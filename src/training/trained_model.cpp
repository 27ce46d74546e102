#include "training/trained_model.h"

#include <algorithm>
#include <cmath>

#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/run_config.h"
#include "checkpoint/safetensors_torch.h"
#include "models/check_forward.h"
#include "models/freeze.h"
#include "models/memory_bound.h"
#include "util/error.h"
#include "util/torch_errors.h"

namespace trainyard {
namespace {

// val.share is relative to train and val together.
std::uint64_t train_samples(const ValSplit& val) {
  constexpr double most = 1e15;  // the share comes from an untrusted file
  const auto samples = static_cast<double>(val.samples);
  return static_cast<std::uint64_t>(std::min(std::round(samples / val.share - samples), most));
}

std::shared_ptr<Model> ready(std::shared_ptr<Model> model, const ModelConfig& config, const ModelInput& input,
                             at::Device device) {
  model->to(device);
  // Convolutions are fastest if weights and images have the same memory format.
  const at::NoGradGuard no_grad;
  for (at::Tensor& parameter : model->parameters()) {
    if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(at::MemoryFormat::ChannelsLast));
  }
  check_forward(*model, input, config.name);
  freeze(*model, config);
  return model;
}

std::unique_ptr<Task> task_of(const Manifest& manifest, const Config& config, const std::string& checkpoint,
                              at::Device device) {
  try {
    return make_task(config.task, task_data(manifest), device);
  } catch (const UsageError& error) {  // of the file, not of this command
    throw RunError("checkpoint", "{}/manifest.json does not fit its task: {}", checkpoint, error.what());
  }
}

// Limits the model that the manifest describes to about the size of its weights file; initialization takes some more.
std::shared_ptr<Model> model_like(const Mapping& weights, const ModelConfig& config, const ModelInput& input,
                                  const std::string& checkpoint) {
  constexpr std::size_t room = std::size_t{64} << 20;
  const MemoryBound bound(8 * weights.bytes().size() + room, checkpoint + "/manifest.json");
  return make_model(config, input);
}

}  // namespace

std::shared_ptr<Model> new_model(const ModelConfig& config, const ModelInput& input, at::Device device) {
  return ready(make_model(config, input), config, input, device);
}

TaskData task_data(const Manifest& manifest) {
  return {.fields = manifest.fields,
          .class_names = manifest.class_names,
          .channel_mean = manifest.channel_mean,
          .channel_std = manifest.channel_std,
          .class_counts = manifest.class_counts,
          .samples = train_samples(manifest.val)};
}

TrainedModel load_trained_model(const std::filesystem::path& checkpoint, at::Device device) {
  Manifest manifest = read_manifest(checkpoint);
  const char* const name = manifest.files.contains(Manifest::ema_file) ? Manifest::ema_file : Manifest::model_file;
  const std::string path = (checkpoint / name).string();
  const Mapping file = map_verified(checkpoint, name, manifest.files.at(name));
  Config config = config_of(manifest, checkpoint);
  // A model has at least one weight of four bytes per class: a few bytes of text must not allocate gigabytes of memory.
  if (manifest.class_names.size() > file.bytes().size() / 4) {
    throw RunError("checkpoint", "{}: its manifest names {} classes, too many for the {} bytes of {}",
                   checkpoint.string(), manifest.class_names.size(), file.bytes().size(), name);
  }
  std::unique_ptr<Task> task = task_of(manifest, config, checkpoint.string(), device);
  std::shared_ptr<Model> model = with_torch_errors("checkpoint", checkpoint.string() + ": its model", [&] {
    // On the CPU, so that an error here is due to the checkpoint, not to the device.
    const ModelInput input = task->model_input();
    auto result = ready(model_like(file, config.model, input, checkpoint.string()), config.model, input, at::kCPU);
    load_state_dict(*result, parse_safetensors(file.bytes(), path), path);
    return result;
  });
  model->to(device);
  model->eval();
  return {std::move(manifest), std::move(config), std::move(task), std::move(model)};
}

}  // namespace trainyard
