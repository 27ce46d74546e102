#include "config/paths.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "util/printable.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_same(const fs::path& path, const fs::path& other) {
  std::error_code ignored;
  return fs::equivalent(path, other, ignored);
}

void resolve(const char* key, const fs::path& folder, std::string& path, std::vector<std::string>& notes) {
  if (path.empty() || fs::path(path).is_absolute()) return;
  const std::string absolute = (folder / path).lexically_normal().string();
  if (!is_there(absolute) && is_there(path)) {
    notes.push_back(fmt::format("[{}] {} is not there any more; {} in the current folder is used instead", key,
                                printable(absolute), printable(path)));
    return;
  }
  if (is_there(path) && !is_same(absolute, path)) {  // e.g. after the whole project was copied
    notes.push_back(
        fmt::format("[{0}] {1} is also in the current folder, and {2} is used, because the configuration was "
                    "written there; to use the other, give --{0} {3}",
                    key, printable(path), printable(absolute), printable(fs::absolute(path).string())));
  }
  path = absolute;
}

// Of files with weights, in formats that are converted first, too.
constexpr std::array weights_endings = {".safetensors", ".pth", ".pt", ".bin", ".ckpt"};

bool is_name(const std::string& weights) {
  const auto ends = [&](const char* ending) { return weights.ends_with(ending); };
  return !weights.empty() && weights.find('/') == std::string::npos && std::ranges::none_of(weights_endings, ends) &&
         !is_there(weights);
}

// One of the defaults for an empty data.root is data/<name>.
void resolve_standard_root(const fs::path& folder, DataConfig& data) {
  std::string with_dashes = data.name;
  std::replace(with_dashes.begin(), with_dashes.end(), '_', '-');
  for (const std::string& name : {data.name, with_dashes}) {
    if (data.root.empty() && is_there(folder / "data" / name)) data.root = "data/" + name;
  }
}

}  // namespace

std::vector<std::string> resolve_paths(Config& config) {
  if (std::string& weights = config.model.weights; is_name(weights)) {
    weights = fmt::format("{}/{}.safetensors", weights_folder, weights);
  }
  std::error_code ignored;
  const std::string current = fs::current_path(ignored).string();
  const fs::path folder = std::exchange(config.run.started_in, current);
  std::vector<std::string> notes;
  if (folder.empty() || folder == current) return notes;
  if (config.data.root.empty()) resolve_standard_root(folder, config.data);
  resolve("data.root", folder, config.data.root, notes);
  resolve("model.weights", folder, config.model.weights, notes);
  if (config.run.resume != "auto" && config.run.resume != "never") {
    resolve("run.resume", folder, config.run.resume, notes);
  }
  return notes;
}

}  // namespace trainyard
