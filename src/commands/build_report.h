/// What `report` and the end of `train` have in common: a run made ready for the page, and the page written.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "commands/evaluate_checkpoint.h"
#include "report/page.h"

namespace trainyard {

/// Mistakes that an evaluation for a report keeps.
inline constexpr std::size_t most_reported_mistakes = 30;

/// The run's best checkpoint, or its last where no epoch has ended yet; none where it has none.
std::optional<std::filesystem::path> checkpoint_to_report(const std::filesystem::path& run);

/// Reads the run's folder; adds the evaluation of its checkpoint, with pictures of the worst samples. What `evaluate`
/// throws becomes the note in its place.
RunReport build_report(const std::filesystem::path& run, const std::function<CheckpointEvaluation()>& evaluate);

/// Writes the page for `runs` to `path`.
void write_report(const std::filesystem::path& path, const std::vector<RunReport>& runs);

}  // namespace trainyard
