/// The folder `checkpoints/` of a run: which steps are there, which are whole, what `last` and `best` point to.
///
///     checkpoints/step-00001170/   a checkpoint, committed by one rename
///                 step-00002340/
///                 last -> step-00002340
///                 best -> step-00001170
///                 .tmp-...         being written or removed; left over after a crash
///
/// One process writes here; any number may read. Errors are RunError unless said otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/manifest.h"
#include "util/system.h"

namespace trainyard {

/// "step-00001170".
std::string step_folder_name(std::int64_t step);

/// The step folders there, lowest step first; none when `checkpoints` is not a folder.
std::vector<std::filesystem::path> step_folders(const std::filesystem::path& checkpoints);

/// Maps folder/<name> after its size and checksum were found to be `sum`. Throws RunError that names the mismatch.
Mapping map_verified(const std::filesystem::path& folder, const std::string& name, const FileSum& sum);

/// Reads all of a checkpoint and compares sizes and checksums with its manifest, which it returns. Throws RunError that
/// names the file and the mismatch, UsageError for another format version.
Manifest verify_checkpoint(const std::filesystem::path& folder);

/// The whole checkpoint of the highest step. Each torn one that is passed over goes to `on_torn`, as one line.
/// One of another format version is not passed over: UsageError.
std::optional<std::filesystem::path> newest_valid(const std::filesystem::path& checkpoints,
                                                  const std::function<void(const std::string&)>& on_torn);

/// Makes checkpoints/<name> ("last", "best") a relative link to a step folder in it. Atomic and durable.
void point_link(const std::filesystem::path& checkpoints, const std::string& name,
                const std::filesystem::path& step_folder);

/// Removes all step folders but the `keep` of the highest steps and those that `last` and `best` point to, and what
/// broken-off writes left. A folder goes by a rename first: a crash never leaves half of one. Not during a write.
void prune(const std::filesystem::path& checkpoints, std::size_t keep);

/// The step folder that a user means by `path`: the folder itself, a link to it, or a run's folder or its
/// checkpoints/, which mean their `last`. Links are resolved, so that a later checkpoint does not change the answer.
/// Throws UsageError that lists what is there.
std::filesystem::path resolve_checkpoint(const std::filesystem::path& path);

}  // namespace trainyard
