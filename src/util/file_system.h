/// Room on a file system.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trainyard {

struct FileSystemSpace {
  std::uint64_t size = 0;  ///< bytes; 0: nothing can be written there (/proc)
  std::uint64_t free = 0;  ///< bytes that a process without privileges may still write
  bool read_only = false;
};

/// The file system that `path` lies on. A tmpfs without a limit (size=0) ends where the machine's memory does: it has
/// that size, and as much free as is available. Nothing, with errno set, where there is no such path.
std::optional<FileSystemSpace> space_at(const std::string& path);

/// What space_at() has free; throws RunError where it has nothing.
std::uint64_t free_bytes(const std::string& path, std::string_view where);

/// A line of /proc/meminfo, by its name with the colon ("MemTotal:"), in bytes; 0 where it is missing.
std::uint64_t meminfo(std::string_view key);

}  // namespace trainyard
