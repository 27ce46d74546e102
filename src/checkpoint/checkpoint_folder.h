/// The folder `checkpoints/` of a run: which steps are there, which are whole, what `last` and `best` point to.
///
///     checkpoints/step-00001170/   a checkpoint, committed by one rename
///                 step-00002340/
///                 last -> step-00002340
///                 best -> step-00001170
///                 .tmp-...         being written or removed; left over after a crash
///
/// On a file system without symbolic links (exFAT, SMB), `last` and `best` are text files that name the step's folder.
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

/// The step that step_folder_name() gives this name; none if it gives it to no step.
std::optional<std::int64_t> step_of(const std::string& name);

/// The step folders there, lowest step first; none when `checkpoints` is not a folder.
std::vector<std::filesystem::path> step_folders(const std::filesystem::path& checkpoints);

/// Maps folder/<name> after its size and checksum were found to be `sum`. Throws RunError that names the mismatch.
Mapping map_verified(const std::filesystem::path& folder, const std::string& name, const FileSum& sum);

/// Reads all of a checkpoint and compares sizes and checksums with its manifest, which it returns. Throws RunError that
/// names the file and the mismatch, UsageError for another format version.
Manifest verify_checkpoint(const std::filesystem::path& folder);

/// The whole checkpoint of the highest step; none if there are no step folders. Each torn one that is passed over goes
/// to `on_torn`, as one line. Throws RunError that lists the reasons if all are torn. One of another format version is
/// not passed over: UsageError.
std::optional<std::filesystem::path> newest_valid(const std::filesystem::path& checkpoints,
                                                  const std::function<void(const std::string&)>& on_torn);

/// Makes checkpoints/<name> ("last", "best") a relative link to a step folder in it, or a text file that names it if
/// the file system refuses links, which is warned about once a process. Atomic and durable.
void point_link(const std::filesystem::path& checkpoints, const std::string& name,
                const std::filesystem::path& step_folder);

/// The step folder that the text file `path`, in the place of `last` or `best`, names; any other path as it is.
std::filesystem::path follow_link(const std::filesystem::path& path);

/// The step folder that checkpoints/<name> names; none if there is no such link or no checkpoint behind it.
std::optional<std::filesystem::path> linked(const std::filesystem::path& checkpoints, const std::string& name);

/// Removes all step folders but the `keep` of the highest steps and those that `last` and `best` point to, and what
/// broken-off writes left. A folder goes by a rename first: a crash never leaves half of one. Not during a write.
void prune(const std::filesystem::path& checkpoints, std::size_t keep);

/// The step folder that a user means by `path`: the folder itself, a link to it (or the text file in its place),
/// or a run's folder or its checkpoints/, which mean their `last`. Links are resolved, so that a later checkpoint does
/// not change the answer. Throws UsageError that lists what is there.
std::filesystem::path resolve_checkpoint(const std::filesystem::path& path);

}  // namespace trainyard
