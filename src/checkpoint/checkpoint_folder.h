/// Manages the folder `checkpoints/` of a run: its steps, which of them are complete, and the links `last` and `best`.
///
///     checkpoints/step-00001170/   a checkpoint, committed by one rename
///                 step-00002340/
///                 last -> step-00002340
///                 best -> step-00001170
///                 .tmp-...         being written or removed; may remain after a crash
///
/// On a file system without symbolic links (exFAT, SMB), `last` and `best` are text files that name the step's folder.
/// One process writes here; any number may read. Errors are RunError unless stated otherwise.
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

/// The step whose step_folder_name() is `name`; none if there is no such step.
std::optional<std::int64_t> step_of(const std::string& name);

/// The step folders in `checkpoints`, lowest step first; none if it is not a folder.
std::vector<std::filesystem::path> step_folders(const std::filesystem::path& checkpoints);

/// The step folder in `checkpoints` of the highest step that has a manifest; none if there is none.
std::optional<std::filesystem::path> newest(const std::filesystem::path& checkpoints);

/// Verifies size and checksum of folder/<name> against `sum` and maps it. Throws RunError that names the mismatch.
Mapping map_verified(const std::filesystem::path& folder, const std::string& name, const FileDigest& sum);

/// Reads a whole checkpoint, verifies sizes and checksums against its manifest, and returns the manifest. Throws
/// RunError that names the file and the mismatch, UsageError for another format version.
Manifest verify_checkpoint(const std::filesystem::path& folder);

/// The valid checkpoint of the highest step; none if there are no step folders. Calls `on_torn` with one line for each
/// torn one that it skips. Throws RunError that lists the reasons if all are torn. A checkpoint of another format
/// version is not skipped: throws UsageError. Neither is one that this process may not read, or lacks the memory or
/// descriptors for: throws SystemError.
std::optional<std::filesystem::path> newest_valid(const std::filesystem::path& checkpoints,
                                                  const std::function<void(const std::string&)>& on_torn);

/// Makes checkpoints/<name> ("last", "best") a relative link to a step folder in it, or a text file that names it if
/// the file system does not support links; warns about that once per process. Atomic and durable.
void point_link(const std::filesystem::path& checkpoints, const std::string& name,
                const std::filesystem::path& step_folder);

/// If `path` is a text file in place of the link `last` or `best`, the step folder it names; any other path unchanged.
std::filesystem::path follow_link(const std::filesystem::path& path);

/// The step folder that checkpoints/<name> points to; none if there is no such link or no checkpoint behind it.
std::optional<std::filesystem::path> linked(const std::filesystem::path& checkpoints, const std::string& name);

/// Removes all step folders except the `keep` of the highest steps and the targets of `last` and `best`, and what
/// interrupted writes left. A folder is renamed before it is removed, so a crash never leaves half of one. Must not run
/// during a write.
void prune(const std::filesystem::path& checkpoints, std::size_t keep);

/// The step folder that a user means by `path`: the folder itself, a link to it (or the text file in its place), or a
/// run's folder or its checkpoints/, which mean their `last`, or newest() if that is missing. Resolves links, so that a
/// later checkpoint does not change the result. Throws UsageError that lists the existing ones.
std::filesystem::path resolve_checkpoint(const std::filesystem::path& path);

}  // namespace trainyard
