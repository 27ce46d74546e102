/// Which folder a run lives in, and whether it goes on from a checkpoint there.
///
///     runs/<name>/config.toml     the resolved configuration; `train --config` on it does the same run again
///                 check.json      what the machine was found to be
///                 data.json       samples of each class, and what was left out
///                 metrics.csv     a row an epoch
///                 metrics.jsonl   a line every few steps
///                 checkpoints/    step-…/, last, best
#pragma once

#include <filesystem>
#include <optional>

#include "config/config.h"
#include "util/system.h"

namespace trainyard {

struct RunFolder {
  std::filesystem::path path;                       ///< run.dir/<name>
  std::optional<std::filesystem::path> checkpoint;  ///< to go on from; none for a run from the start

  std::filesystem::path checkpoints() const { return path / "checkpoints"; }
};

/// Chooses the folder; creates nothing.
///
/// With run.name: that folder. run.resume = auto goes on from its newest whole checkpoint, if any; never refuses a
/// folder that has one. Without run.name: <data.name>-<model.name>, or with -2, -3, ... behind it: auto goes on with
/// the latest of them when it is unfinished, was configured the same and nobody trains in it, otherwise takes the first
/// free one, as never does. A path in run.resume: from that checkpoint, in run.name's folder or else in the
/// checkpoint's own. Throws UsageError for a path without a checkpoint, and where going on would make another run of
/// it: the settings that make the weights (model, data, transforms, batch size, optimizer, seed) must be the
/// checkpoint's.
RunFolder choose_run_folder(const Config& config);

/// Creates a run's folder and keeps other trainers out of it until the descriptor is closed, which the end of the
/// process does, too. Throws UsageError where another trainer is in it, RunError where it cannot be created. Network
/// file systems that lock no folders keep nobody out.
UniqueFd hold_run_folder(const std::filesystem::path& run);

}  // namespace trainyard
