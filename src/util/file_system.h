/// Queries free space on file systems and the memory of the machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trainyard {

struct FileSystemSpace {
  std::uint64_t size = 0;  ///< bytes; 0: nothing can be written (/proc)
  std::uint64_t free = 0;  ///< bytes that an unprivileged process may still write
  bool read_only = false;
};

/// Returns the space of the file system that contains `path`. A tmpfs without a limit (size=0) is limited by memory:
/// its size is that of the machine's memory, and free is the available memory. Returns nullopt, with errno set, if the
/// path does not exist.
std::optional<FileSystemSpace> space_at(const std::string& path);

/// Returns the free bytes of space_at(); throws RunError if it returns nullopt.
std::uint64_t free_bytes(const std::string& path, std::string_view where);

/// Returns the value of a line of /proc/meminfo in bytes, by its key with the colon ("MemTotal:"); 0 if it is missing.
std::uint64_t meminfo(std::string_view key);

}  // namespace trainyard
