#include "training/initial_weights.h"

#include <filesystem>

#include <fmt/format.h>

#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/manifest.h"
#include "checkpoint/safetensors_torch.h"
#include "config/paths.h"
#include "util/error.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {
namespace {

// What to do if `path`, which the user gave as `name`, is no file of weights; empty if it is not known.
std::string advice_on_weights(const std::filesystem::path& name, const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    return "; for a run's weights, give the model.safetensors of one of its checkpoints, e.g. "
           "RUN/checkpoints/best/model.safetensors";
  }
  const bool is_missing =
      name.parent_path().string().ends_with(weights_folder) && !std::filesystem::exists(path, ignored);
  return is_missing ? "; make weights NAME=" + name.stem().string() + " fetches published ones" : "";
}

// What to say of weights that do not fit `model`: that the checkpoint they are in is of another one; otherwise nothing.
std::string advice_on_model(const std::filesystem::path& path, const std::string& model) {
  try {
    const std::string trained = read_manifest(path.parent_path()).model;
    if (trained != model) return fmt::format("\n  the checkpoint is of model.name = {}", printable(trained, 100));
  } catch (const Error&) {  // not in a checkpoint
  }
  return "";
}

}  // namespace

void load_initial_weights(Model& model, const ModelConfig& config) {
  if (config.weights.empty()) return;
  const std::filesystem::path name = config.weights;
  const std::string path = follow_link(name.parent_path()) / name.filename();
  try {
    open_regular_file(path, "model.weights");
  } catch (const RunError& error) {  // a wrong setting, hence a usage error
    throw_error(ExitCode::usage, error.what() + advice_on_weights(name, path));
  }
  const NamedTensors weights = load_safetensors(path);
  try {
    load_weights(model, weights, config.reset_head, path);
  } catch (const Error& error) {
    throw_error(error.code(), error.what() + advice_on_model(path, config.name));
  }
}

}  // namespace trainyard
