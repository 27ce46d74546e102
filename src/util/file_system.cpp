#include "util/file_system.h"

#include <cerrno>
#include <cstdlib>
#include <fstream>

#include <linux/magic.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "util/system.h"

namespace trainyard {

std::optional<FileSystemSpace> space_at(const std::string& path) {
  struct statfs there{};
  if (statfs(path.c_str(), &there) != 0) return std::nullopt;
  FileSystemSpace space{.size = there.f_blocks * static_cast<std::uint64_t>(there.f_frsize),
                        .free = there.f_bavail * static_cast<std::uint64_t>(there.f_frsize),
                        .read_only = (there.f_flags & ST_RDONLY) != 0};
  if (there.f_type == TMPFS_MAGIC && there.f_blocks == 0) {
    space.size = meminfo("MemTotal:");
    space.free = meminfo("MemAvailable:");
  }
  return space;
}

std::uint64_t free_bytes(const std::string& path, std::string_view where) {
  const auto space = space_at(path);
  if (!space) throw_system_error(where, "statfs", path, errno);
  return space->free;
}

std::uint64_t meminfo(std::string_view key) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return std::strtoull(line.c_str() + key.size(), nullptr, 10) << 10;
  }
  return 0;
}

}  // namespace trainyard
