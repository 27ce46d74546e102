/// Writes files at paths chosen by the user, which may lead to something other than a regular file.
#pragma once

#include <filesystem>
#include <string_view>

namespace trainyard {

/// Returns the path of the regular file, existing or not, that `path` leads to through symbolic links, so that
/// replacing it replaces no link. Throws UsageError `[where]` naming the kind of anything else found there: a folder, a
/// device, a pipe.
std::filesystem::path replaceable_file(const std::filesystem::path& path, std::string_view where);

/// Throws UsageError `[where]` if write_output_file() could not write `path`, as far as that is known beforehand. Call
/// it before work whose result would be lost.
void require_writable(const std::filesystem::path& path, std::string_view where);

/// Writes `text` to what `path` leads to: a regular file is replaced as by write_file_atomically(); a device or a pipe
/// is written to. Throws UsageError `[where]` for a folder or a socket, RunError if writing fails or nothing reads the
/// pipe.
void write_output_file(const std::filesystem::path& path, std::string_view text, std::string_view where);

}  // namespace trainyard
