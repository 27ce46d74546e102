/// A folder that one process at a time works in.
#pragma once

#include <filesystem>
#include <optional>

#include "util/system.h"

namespace trainyard {

/// Opens `folder` and locks it until the descriptor is closed, which the end of the process does, too. Returns nothing
/// if another process has the lock. A file system that refuses locks keeps nobody out: the first such folder is warned
/// about. Throws RunError if the folder cannot be opened.
std::optional<UniqueFd> try_to_lock(const std::filesystem::path& folder);

/// Whether `path` still names the folder that is open as `fd`: false once it was moved, removed or replaced.
bool names_folder(const std::filesystem::path& path, const UniqueFd& fd);

}  // namespace trainyard
