#include "training/run_folder.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>
#include <fstream>
#include <map>

#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/run_config.h"
#include "config/config_file.h"
#include "config/paths.h"
#include "util/atomic_file.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/folder_lock.h"
#include "util/log.h"
#include "util/printable.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

std::string numbered(const std::string& base, int number) {
  return number == 1 ? base : fmt::format("{}-{}", base, number);
}

std::optional<fs::path> newest_checkpoint(const fs::path& run) {
  return newest_valid(run / "checkpoints",
                      [](const std::string& torn) { log_warning("{}; going back to the one before", torn); });
}

Config config_with_paths(const fs::path& checkpoint) {
  Config config = read_config(checkpoint);
  resolve_paths(config);  // so that model.weights compares equal from any folder
  return config;
}

std::vector<Difference> changes_since(const fs::path& checkpoint, const Config& config) {
  return differences(config_with_paths(checkpoint), config);
}

// As a user may paste it into a shell.
std::string shell_word(const std::string& text) {
  const auto is_plain = [](unsigned char c) { return std::isalnum(c) != 0 || std::strchr("/._-+,:=@%", c) != nullptr; };
  if (!text.empty() && std::all_of(text.begin(), text.end(), is_plain)) return text;
  std::string quoted;
  for (const char c : text) quoted += c == '\'' ? R"('\'')" : std::string(1, c);
  return "'" + quoted + "'";
}

std::string described(const Difference& d) { return fmt::format("{} was {}, now {}", d.key, d.before, d.after); }

void refuse_another_run(const Config& config, const fs::path& checkpoint) {
  std::string listed;
  for (const Difference& d : changes_since(checkpoint, config)) {
    if (d.resume == Resume::fixed) listed += "\n  " + described(d);
  }
  if (listed.empty()) return;
  throw UsageError("run.resume",
                   "{} is of another run:{}\nchoose another run.name, or give the settings it was made with",
                   checkpoint.string(), listed);
}

RunFolder resumed(const Config& config, const fs::path& run, const fs::path& checkpoint) {
  RunFolder folder{.path = run, .checkpoint = checkpoint};
  for (const Difference& d : changes_since(checkpoint, config)) {
    if (!d.key.starts_with("run.")) folder.notes.push_back(described(d));
  }
  return folder;
}

[[noreturn]] void refuse_in_use(const fs::path& run) {
  throw UsageError("run", "another process is training in {}: wait for it, stop it, or choose another run.name",
                   run.string());
}

// Call it before looking at the run's checkpoints, which that process writes and removes.
void require_free(const fs::path& run) {
  if (fs::exists(run) && !try_to_lock(run)) refuse_in_use(run);
}

// Without lines unless it is a regular file: opening a pipe would wait for its writer.
std::ifstream open_text(const fs::path& file) {
  std::error_code ignored;
  return fs::is_regular_file(file, ignored) ? std::ifstream(file) : std::ifstream();
}

std::size_t lines_in(const fs::path& file) {
  std::ifstream text = open_text(file);
  std::size_t lines = 0;
  for (std::string line; std::getline(text, line);) ++lines;
  return lines;
}

bool has_line(const fs::path& file, std::string_view beginning) {
  std::ifstream text = open_text(file);
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with(beginning)) return true;
  }
  return false;
}

// A run writes its config.toml before any other file, with run.started_in, which nobody gives.
bool has_config_of_a_run(const fs::path& run) { return has_line(run / "config.toml", "started_in = "); }

// The epochs in its metrics.csv.
std::size_t trained_epochs(const fs::path& run) { return std::max<std::size_t>(lines_in(run / "metrics.csv"), 1) - 1; }

bool is_temporary(const fs::directory_entry& entry) { return entry.path().filename().string().starts_with(".tmp-"); }

// Whether its metrics end before the first checkpoint was due.
bool had_nothing_to_save(const fs::path& run) {
  const std::size_t rows = lines_in(run / "metrics.csv");  // with the header
  if (lines_in(run / "metrics.jsonl") == 0) return rows <= 1;
  return rows == 1 && has_line(run / "config.toml", "every_steps = 0");
}

// Whether `run` ended before it had saved anything; otherwise its checkpoints were removed. Temporaries are the mark of
// mark_as_begun(), which the first save removes, or leftovers of interrupted writes. A run of a version without the
// mark is judged by its metrics.
bool ended_before_its_first_checkpoint(const fs::path& run) {
  if (!has_config_of_a_run(run)) return false;
  std::size_t temporaries = 0;
  std::error_code error;
  for (fs::directory_iterator entry(run / "checkpoints", error), end; !error && entry != end; entry.increment(error)) {
    if (!is_temporary(*entry)) return false;
    ++temporaries;
  }
  if (error && error != std::errc::no_such_file_or_directory) return false;
  return temporaries > 0 || had_nothing_to_save(run);
}

// What a new run in `run`, which has no checkpoint, would replace: a file of the user's, or what is left of a run whose
// checkpoints were removed. Empty: nothing.
std::string in_the_way(const fs::path& run) {
  if (ended_before_its_first_checkpoint(run)) return {};
  if (has_config_of_a_run(run)) return fmt::format("a run ({} in metrics.csv)", count_of(trained_epochs(run), "epoch"));
  for (const char* const name : {"config.toml", "metrics.csv", "metrics.jsonl", "loading.csv", "ranks.csv",
                                 "check.json", "data.json", "report.html", "trace.json"}) {
    std::error_code ignored;
    if (fs::exists(run / name, ignored)) return name;
  }
  return {};
}

void require_nothing_in_the_way(const fs::path& run) {
  const std::string found = in_the_way(run);
  if (found.empty()) return;
  throw UsageError("run.name", "{} already holds {} but no checkpoint; {}choose another run.name or remove the folder",
                   run.string(), found, has_config_of_a_run(run) ? "put its checkpoints/ back, " : "");
}

// Throws if `run` holds something that no run has written. One that ended before its config.toml has only checkpoints/,
// and a dry run only batch.png.
void require_of_a_run(const fs::path& run) {
  if (has_config_of_a_run(run)) return;
  std::error_code error;
  for (fs::directory_iterator entry(run, error), end; !error && entry != end; entry.increment(error)) {
    const fs::path name = entry->path().filename();
    if (is_temporary(*entry) || name == "checkpoints" || name == "batch.png") continue;
    throw UsageError("run.name",
                     "{} would be replaced, but {} there is not of a run: choose another run.name or run.dir",
                     run.string(), printable(name.string()));
  }
}

// A run that starts from the beginning in `run`.
RunFolder begun(const fs::path& run, std::vector<std::string> notes) {
  require_nothing_in_the_way(run);
  if (ended_before_its_first_checkpoint(run)) {
    notes.push_back(fmt::format("{} ended before its first checkpoint was saved: it begins again", run.string()));
  }
  return {.path = run, .checkpoint = std::nullopt, .notes = std::move(notes)};
}

RunFolder choose_named(const Config& config) {
  const fs::path run = fs::path(config.run.dir) / config.run.name;
  require_free(run);
  if (config.run.resume == "never" && !step_folders(run / "checkpoints").empty()) {
    throw UsageError("run.resume", "is never, but {} already holds a run; choose another run.name or remove the folder",
                     run.string());
  }
  const std::optional<fs::path> newest = newest_checkpoint(run);
  if (!newest) return begun(run, {});
  refuse_another_run(config, *newest);
  return resumed(config, run, *newest);
}

// Whether another process is training in `run`, or this user has no access to it or to its checkpoints.
bool is_in_use(const fs::path& run) {
  try {
    step_folders(run / "checkpoints");
    return fs::exists(run) && !try_to_lock(run);
  } catch (const std::exception&) {
    return true;
  }
}

// The runs in `parent` that are named `base` or `base`-<number from 2>, by number.
std::map<int, fs::path> numbered_runs(const fs::path& parent, const std::string& base) {
  std::map<int, fs::path> runs;
  std::error_code error;
  for (fs::directory_iterator entry(parent, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(base)) continue;
    int number = 1;
    const char* const digits = name.data() + std::min(base.size() + 1, name.size());
    std::from_chars(digits, name.data() + name.size(), number);
    if (name == numbered(base, number)) runs[number] = entry->path();
  }
  return runs;
}

// The RunEnd of `run` if it has the settings of `config`; none if its settings differ or it has no readable checkpoint.
std::optional<RunEnd> end_of_same_run(const Config& config, const fs::path& run) {
  std::vector<fs::path> steps = step_folders(run / "checkpoints");
  std::reverse(steps.begin(), steps.end());
  std::string torn;
  for (const fs::path& step : steps) {
    try {
      const Manifest manifest = read_manifest(step);
      const std::vector<Difference> changed = changes_since(step, config);
      const bool same =
          std::all_of(changed.begin(), changed.end(), [](const Difference& d) { return d.resume == Resume::free; });
      return same ? std::optional(manifest.ended) : std::nullopt;
    } catch (const UsageError& error) {  // written by another program
      log_warning("{} is not considered for resuming: {}", run.string(), error.what());
      return std::nullopt;
    } catch (const RunError& error) {  // the previous one may be intact
      torn = error.what();
    }
  }
  if (!torn.empty()) {
    log_warning("{} is not considered for resuming: none of its checkpoints can be read: {}", run.string(), torn);
  }
  return std::nullopt;
}

RunFolder choose_unnamed(const Config& config) {
  const fs::path parent = config.run.dir;
  const std::string base = run_name(config);
  const std::map<int, fs::path> runs = numbered_runs(parent, base);
  std::vector<std::string> notes;
  for (auto run = runs.rbegin(); run != runs.rend() && config.run.resume == "auto"; ++run) {
    const auto& [number, path] = *run;
    if (is_in_use(path)) {
      notes.push_back(
          fmt::format("{} is passed over: another process trains there, or it cannot be read", path.string()));
      continue;
    }
    if (const std::string found = in_the_way(path); !found.empty() && step_folders(path / "checkpoints").empty()) {
      notes.push_back(fmt::format("{} holds {} but no checkpoint: it is left as it is", path.string(), found));
    }
    const std::optional<RunEnd> end = end_of_same_run(config, path);
    if (!end) continue;
    const bool ended = *end == RunEnd::finished || *end == RunEnd::early_stopped;
    if (ended && fs::exists(RunFolder{.path = path, .checkpoint = {}}.report())) {
      const bool early = *end == RunEnd::early_stopped;
      notes.push_back(fmt::format(
          "{} is finished already{}, with the same settings; to train it longer: --run.name {} --train.{} N",
          path.string(), early ? " (stopped early)" : "", shell_word(path.filename()), early ? "patience" : "epochs"));
    } else if (const std::optional<fs::path> newest = newest_checkpoint(path)) {
      return resumed(config, path, *newest);
    }
  }
  int number = 1;
  const auto is_taken = [&](const fs::path& path) {
    return is_in_use(path) || !in_the_way(path).empty() ||
           (fs::exists(path / "checkpoints") && !ended_before_its_first_checkpoint(path));
  };
  while (is_taken(parent / numbered(base, number))) ++number;
  return begun(parent / numbered(base, number), std::move(notes));
}

void remove_temporaries(const fs::path& run) {
  std::error_code error;
  for (fs::directory_iterator entry(run, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (is_temporary(*entry)) fs::remove_all(entry->path(), ignored);
  }
}

std::string resuming_flags(const fs::path& run) {
  return fmt::format("--run.resume auto --run.dir {} --run.name {}", shell_word(run.parent_path()),
                     shell_word(run.filename()));
}

// A run whose checkpoints belong to two histories would resume from the wrong one.
void refuse_second_history(const Config& config, const fs::path& run, const fs::path& checkpoint) {
  const std::vector<fs::path> steps = step_folders(run / "checkpoints");
  if (steps.empty()) return;
  std::error_code ignored;
  if (fs::equivalent(steps.back(), checkpoint, ignored)) return;
  throw UsageError("run.resume", "is {}, but {} has gone on to {}: to resume there, {}; or choose another run.name",
                   config.run.resume, run.string(), steps.back().filename().string(), resuming_flags(run));
}

}  // namespace

RunFolder choose_run_folder(const Config& config) {
  if (config.run.resume != "auto" && config.run.resume != "never") {
    const fs::path checkpoint = resolve_checkpoint(config.run.resume);
    refuse_another_run(config, checkpoint);
    const fs::path own = checkpoint.parent_path().parent_path();
    const fs::path run = config.run.name.empty() ? own : fs::path(config.run.dir) / config.run.name;
    require_free(run);
    refuse_second_history(config, run, checkpoint);
    if (step_folders(run / "checkpoints").empty()) require_nothing_in_the_way(run);
    return resumed(config, run, checkpoint);
  }
  return config.run.name.empty() ? choose_unnamed(config) : choose_named(config);
}

std::string how_to_resume(const Config& config, const fs::path& run) {
  if (config.run.resume == "auto") return "rerun the same command";
  return fmt::format("rerun the same command with {} in place of its own run.*", resuming_flags(run));
}

std::string run_name(const Config& config) {
  return config.run.name.empty() ? config.data.name + "-" + config.model.name : config.run.name;
}

RunFolder scratch_folder(const Config& config, const std::string& name) {
  const RunFolder folder{.path = fs::path(config.run.dir) / RunConfig::trials / name, .checkpoint = std::nullopt};
  if (fs::exists(folder.path)) {
    require_of_a_run(folder.path);
    const UniqueFd held = lock_run_folder(folder.path);
    fs::remove_all(folder.path);
  }
  return folder;
}

UniqueFd lock_run_folder(const fs::path& run) {
  make_folders(run);
  std::optional<UniqueFd> held = try_to_lock(run);
  if (!held) refuse_in_use(run);
  remove_temporaries(run);
  return std::move(*held);
}

void mark_as_begun(const RunFolder& folder) {
  const fs::path checkpoints = folder.checkpoints();
  make_folders(step_folders(checkpoints).empty() ? checkpoints / ".tmp-none-yet" : checkpoints);
}

void require_not_moved(const fs::path& run, const UniqueFd& held) {
  if (names_folder(run, held)) return;
  std::error_code error;
  const fs::path now = fs::read_symlink(fmt::format("/proc/self/fd/{}", held.get()), error);
  if (error || !names_folder(now, held)) {
    throw RunError("run", "{} was removed while it was trained, and its checkpoints with it: the run ends here",
                   run.string());
  }
  throw RunError("run",
                 "{} was moved to {} while it was trained: the run ends here. To resume from its last checkpoint: {}",
                 run.string(), now.string(), resuming_flags(now));
}

}  // namespace trainyard
