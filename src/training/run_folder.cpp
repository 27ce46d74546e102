#include "training/run_folder.h"

#include <algorithm>
#include <array>

#include <fcntl.h>
#include <sys/file.h>

#include "checkpoint/checkpoint_folder.h"
#include "config/config_file.h"
#include "config/paths.h"
#include "util/atomic_file.h"
#include "util/error.h"
#include "util/log.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

// Settings that may change in the middle of a run without making another run of it.
bool is_free(const std::string& key) {
  constexpr std::array free_keys = {"data.root",       "loader.workers",     "loader.prefetch",     "loader.timeout",
                                    "loader.cache",    "loader.cache_name",  "train.device",        "train.threads",
                                    "train.log_every", "train.on_nonfinite", "train.deterministic", "train.cuda_graph"};
  return key.starts_with("checkpoint.") || key.starts_with("run.") ||
         std::find(free_keys.begin(), free_keys.end(), key) != free_keys.end();
}

// Settings that may change when the user names the run, such as to train it longer.
bool is_free_when_named(const std::string& key) {
  constexpr std::array free_keys = {
      "train.epochs", "train.precision",      "train.label_smoothing", "optimizer.lr",       "train.mixup",
      "train.cutmix", "train.clip_grad_norm", "optimizer.momentum",    "optimizer.nesterov", "optimizer.weight_decay"};
  return is_free(key) || key.starts_with("schedule.") ||
         std::find(free_keys.begin(), free_keys.end(), key) != free_keys.end();
}

std::optional<fs::path> newest_checkpoint(const fs::path& run) {
  return newest_valid(run / "checkpoints",
                      [](const std::string& torn) { log_warning("{}; going back to the one before", torn); });
}

Config config_of(const fs::path& checkpoint) {
  Config config = config_from_toml(read_manifest(checkpoint).config, checkpoint.string());
  resolve_paths(config);  // model.weights is the same file, wherever it is named from
  return config;
}

void refuse_another_run(const Config& config, const fs::path& checkpoint) {
  std::string listed;
  for (const Difference& d : differences(config_of(checkpoint), config)) {
    if (is_free_when_named(d.key)) continue;
    listed += fmt::format("\n  {} was {}, now {}", d.key, d.before, d.after);
  }
  if (listed.empty()) return;
  throw UsageError("run.resume",
                   "{} is of another run:{}\nchoose another run.name, or give the settings it was made with",
                   checkpoint.string(), listed);
}

bool can_go_on(const Config& config, const fs::path& checkpoint) {
  const Manifest manifest = read_manifest(checkpoint);
  const auto changed = differences(config_of(checkpoint), config);
  return manifest.epoch < config.train.epochs &&
         std::all_of(changed.begin(), changed.end(), [](const Difference& d) { return is_free(d.key); });
}

RunFolder choose_named(const Config& config) {
  RunFolder run{.path = fs::path(config.run.dir) / config.run.name, .checkpoint = std::nullopt};
  const std::optional<fs::path> newest = newest_checkpoint(run.path);
  if (!newest) return run;
  if (config.run.resume == "never") {
    throw UsageError("run.resume", "is never, but {} already holds a run; choose another run.name or remove the folder",
                     run.path.string());
  }
  refuse_another_run(config, *newest);
  run.checkpoint = newest;
  return run;
}

// The folder with its lock, if it exists; nothing where another process has the lock.
std::optional<UniqueFd> try_to_hold(const fs::path& run) {
  UniqueFd folder(open(run.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder && flock(folder.get(), LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK) return std::nullopt;
  return folder;
}

RunFolder choose_unnamed(const Config& config) {
  const fs::path parent = config.run.dir;
  const std::string base = config.data.name + "-" + config.model.name;
  std::optional<fs::path> latest;
  for (int number = 1;; ++number) {
    const fs::path candidate = parent / (number == 1 ? base : fmt::format("{}-{}", base, number));
    if (!try_to_hold(candidate)) continue;
    if (fs::exists(candidate / "checkpoints")) {
      latest = candidate;
      continue;
    }
    if (latest && config.run.resume == "auto") {
      const std::optional<fs::path> newest = newest_checkpoint(*latest);
      if (newest && can_go_on(config, *newest)) return {.path = *latest, .checkpoint = newest};
    }
    return {.path = candidate, .checkpoint = std::nullopt};
  }
}

}  // namespace

RunFolder choose_run_folder(const Config& config) {
  if (config.run.resume != "auto" && config.run.resume != "never") {
    const fs::path checkpoint = resolve_checkpoint(config.run.resume);
    refuse_another_run(config, checkpoint);
    const fs::path own = checkpoint.parent_path().parent_path();
    return {.path = config.run.name.empty() ? own : fs::path(config.run.dir) / config.run.name,
            .checkpoint = checkpoint};
  }
  return config.run.name.empty() ? choose_unnamed(config) : choose_named(config);
}

UniqueFd hold_run_folder(const fs::path& run) {
  make_folders(run);
  std::optional<UniqueFd> held = try_to_hold(run);
  if (!held) {
    throw UsageError("run", "another process is training in {}: wait for it, stop it, or choose another run.name",
                     run.string());
  }
  return std::move(*held);
}

}  // namespace trainyard
