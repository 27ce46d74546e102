/// Which folder a run lives in, and whether it resumes from a checkpoint there.
///
///     runs/<name>/config.toml     the resolved configuration; `train --config` on it does the same run again
///                 check.json      what the machine was found to be
///                 data.json       samples of each class, and what was left out
///                 metrics.csv     a row per epoch
///                 metrics.jsonl   a line every few steps
///                 checkpoints/    step-…/, last, best
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
  std::optional<std::filesystem::path> checkpoint;  ///< to resume from; none for a run from the start
  std::vector<std::string> notes = {};              ///< what the user should know of the choice, a line each

  std::filesystem::path checkpoints() const { return path / "checkpoints"; }
};

/// Chooses the folder; creates nothing.
///
/// With run.name: that folder. run.resume = auto resumes from its newest whole checkpoint, if any; never refuses a
/// folder that has checkpoints. Without run.name: <data.name>-<model.name>, or with -2, -3, ... behind it: auto resumes
/// the one with the highest number that is unfinished, was configured the same and that nobody trains. If there is
/// none, or with never, it is the first number that is free; a finished run of the same configuration is noted. A path
/// in run.resume: from that checkpoint, in run.name's folder or else in the checkpoint's own. Settings that differ from
/// the checkpoint's are noted. Throws UsageError for a path without a checkpoint, and if resuming would make another
/// run of it: the settings that make the weights (model, data, transforms, batch size, optimizer, seed) must be the
/// checkpoint's. Throws RunError if the run to resume has checkpoints and none can be read.
RunFolder choose_run_folder(const Config& config);

/// The run's name: run.name, or <data.name>-<model.name> if it is empty.
std::string run_name(const Config& config);

/// The folder run.dir/scratch/`name`, for runs that only try something and are made anew each time: what is there is
/// removed. Throws UsageError if another trainer is in it.
RunFolder scratch_folder(const Config& config, const std::string& name);

/// Creates a run's folder, keeps other trainers out of it until the descriptor is closed (as try_to_lock does), and
/// removes what interrupted writes left there. Throws UsageError if another trainer is in it, RunError if it cannot be
/// created.
UniqueFd hold_run_folder(const std::filesystem::path& run);

/// Throws RunError if `run` is no longer the folder that is open as `held`: it was moved, removed or replaced. What is
/// written there afterwards would make half a run.
void require_in_place(const std::filesystem::path& run, const UniqueFd& held);

}  // namespace trainyard
