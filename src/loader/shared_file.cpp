#include "loader/shared_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>

namespace trainyard {

std::optional<UniqueFd> reserve_shared_file(const std::string& directory, std::size_t bytes) {
  UniqueFd file(check_call(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), "loader",
                           "open an unnamed file", directory, "worker processes need a tmpfs there"));
  // Not ftruncate: on a full tmpfs that succeeds, and the first touch of a page that is not there is a bus error.
  int error = 0;
  do {
    error = posix_fallocate(file.get(), 0, static_cast<off_t>(bytes));
  } while (error == EINTR);
  if (error == 0) return file;
  if (error == ENOSPC || error == EFBIG) return std::nullopt;
  throw_system_error("loader", "posix_fallocate", directory, error);
}

std::uint64_t bytes_free(const std::string& directory) {
  struct statvfs there{};
  check_call(statvfs(directory.c_str(), &there), "loader", "statvfs", directory);
  return there.f_bavail * there.f_frsize;
}

}  // namespace trainyard
