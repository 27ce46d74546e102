/// Prepares a run for the report page and writes the page, for `report` and for the end of `train`.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "commands/evaluate_checkpoint.h"
#include "report/page.h"

namespace trainyard {

/// The number of mistakes that an evaluation for a report keeps.
inline constexpr std::size_t max_reported_mistakes = 30;

/// The run's best checkpoint, or its last one if no epoch has ended yet or, with a warning, if the best one is gone;
/// none if it has no checkpoint.
std::optional<std::filesystem::path> checkpoint_to_report(const std::filesystem::path& run);

/// Reads the run's folder, logs what is damaged in it, and adds the evaluation of its checkpoint, with images of the
/// worst samples. If `evaluate` throws, the error message becomes the note that is shown instead.
RunReport build_report(const std::filesystem::path& run, const std::function<CheckpointEvaluation()>& evaluate);

/// Writes the page for `runs` to `path`.
void write_report(const std::filesystem::path& path, const std::vector<RunReport>& runs);

}  // namespace trainyard
