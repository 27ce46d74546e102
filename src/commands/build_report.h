/// What `report` and the end of `train` have in common: a run made ready for the page, and the page written.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "config/config.h"
#include "loader/worker_pool.h"
#include "report/page.h"
#include "util/torch.h"

namespace trainyard {

/// The run's best checkpoint, or its last where no epoch has ended yet; none where it has none.
std::optional<std::filesystem::path> checkpoint_to_report(const std::filesystem::path& run);

/// Reads the run's folder and evaluates `checkpoint` on the test split of `pool`, with pictures of the worst mistakes.
/// What goes wrong with the evaluation becomes the note in its place.
RunReport build_report(const std::filesystem::path& run, const std::filesystem::path& checkpoint, WorkerPool& pool,
                       const Config& config, at::Device device);

/// Writes the page for `runs` to `path`.
void write_report(const std::filesystem::path& path, const std::vector<RunReport>& runs);

}  // namespace trainyard
