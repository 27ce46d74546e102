/// Files at paths that a user names, which may lead to more than regular files.
#pragma once

#include <filesystem>
#include <string_view>

namespace trainyard {

/// The path of the regular file, there already or not yet, that `path` leads to through symbolic links: replacing it
/// replaces no link. Throws UsageError `[where]` with its kind if something else is there: a folder, a device, a pipe.
std::filesystem::path replaceable_file(const std::filesystem::path& path, std::string_view where);

/// Writes `text` to what `path` leads to: a regular file is replaced as by write_file_atomically(), a device or a pipe
/// is written into. Throws UsageError `[where]` for a folder or a socket, RunError if writing fails.
void write_output_file(const std::filesystem::path& path, std::string_view text, std::string_view where);

}  // namespace trainyard
