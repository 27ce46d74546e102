/// Locks a folder so that only one process at a time works in it.
#pragma once

#include <filesystem>
#include <optional>

#include "util/system.h"

namespace trainyard {

/// Opens `folder` and locks it until the descriptor is closed or the process ends. Returns nullopt if another process
/// holds the lock. If the file system does not support locks, the folder is opened without one and the first such
/// folder causes a warning. Throws RunError if the folder cannot be opened.
std::optional<UniqueFd> try_to_lock(const std::filesystem::path& folder);

/// Whether `path` still names the folder that is open as `fd`: false after it was moved, removed or replaced.
bool names_folder(const std::filesystem::path& path, const UniqueFd& fd);

}  // namespace trainyard
