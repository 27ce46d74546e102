/// Chooses the folder of a run, and whether the run resumes from a checkpoint there.
///
///     runs/<name>/config.toml     the resolved configuration; `train --config` with it reproduces the run
///                 check.json      the result of the machine check
///                 data.json       number of samples per class, and what was left out
///                 metrics.csv     one row per epoch
///                 metrics.jsonl   one line every few steps
///                 checkpoints/    step-…/, last, best
///                 report.html     the report, written last
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "util/system.h"

namespace trainyard {

struct RunFolder {
  std::filesystem::path path;                       ///< run.dir/<name>
  std::optional<std::filesystem::path> checkpoint;  ///< to resume from; none: the run starts from the beginning
  std::vector<std::string> notes = {};              ///< messages for the user about the choice, one line each

  std::filesystem::path checkpoints() const { return path / "checkpoints"; }
  std::filesystem::path report() const { return path / "report.html"; }
};

/// Chooses the folder; creates nothing.
///
/// - With run.name: that folder. run.resume = "auto" resumes from its newest intact checkpoint, if any; "never" refuses
///   a folder that has checkpoints.
/// - Without run.name: <data.name>-<model.name>, or that name with -2, -3, ... appended. "auto" resumes the run with
///   the highest number that is unfinished or has no report, has the same configuration and is not being trained by
///   another process. If there is none, or with "never", the first free number is used; a note mentions a finished run
///   of the same configuration.
/// - A folder without checkpoints that holds files by the names of a run's, but no config.toml that a run has written,
///   is refused or, without run.name, passed over: they are the user's. So is one whose run saved checkpoints that are
///   gone. A run that ended before its first checkpoint begins again (mark_as_begun()).
/// - With a path in run.resume: resumes from that checkpoint, in the folder of run.name or, without a name, in the
///   checkpoint's own folder.
///
/// Notes list the settings that differ from the checkpoint's. Throws UsageError for a path without a checkpoint, and if
/// settings that determine the weights (model, data, transforms, batch size, optimizer, seed) differ from the
/// checkpoint's. Throws RunError if the run to resume has checkpoints but none of them can be read.
RunFolder choose_run_folder(const Config& config);

/// How to resume `run`, which was started with `config`, from its newest checkpoint: "rerun the same command", and with
/// which flags if run.resume would refuse that.
std::string how_to_resume(const Config& config, const std::filesystem::path& run);

/// run.name, or <data.name>-<model.name> if it is empty.
std::string run_name(const Config& config);

/// The folder run.dir/scratch/`name`, for trial runs, which always start from scratch: removes the folder's previous
/// contents. Throws UsageError if another process is training in it, or if no run has written them.
RunFolder scratch_folder(const Config& config, const std::string& name);

/// Creates a run's folder, locks it against other training processes until the descriptor is closed (try_to_lock()),
/// and removes the leftovers of interrupted writes. Throws UsageError if another process is training in it, RunError if
/// it cannot be created.
UniqueFd lock_run_folder(const std::filesystem::path& run);

/// Creates checkpoints/ of a run that begins, with an entry that the first save removes: so choose_run_folder() can
/// tell a run that ended before it, however late, from one whose checkpoints were removed. Call it before any file of
/// the run is written.
void mark_as_begun(const RunFolder& folder);

/// Throws RunError if `run` is no longer the folder that is open as `held`, i.e. it was moved, removed or replaced.
/// Files written to that path afterwards would be an incomplete run.
void require_not_moved(const std::filesystem::path& run, const UniqueFd& held);

}  // namespace trainyard
