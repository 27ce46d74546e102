#include "training/initial_weights.h"

#include <filesystem>

#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/safetensors_torch.h"
#include "config/paths.h"
#include "util/error.h"
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
  load_weights(model, load_safetensors(path), config.reset_head, path);
}

}  // namespace trainyard
