#include "loader/shared_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"

namespace trainyard {

namespace {

// The codes are those of the check's rules, which docs/troubleshooting.md lists.
[[noreturn]] void refuse(const std::string& directory, int error) {
  const std::string without = "or set loader.workers = 0 and loader.cache = none";
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      throw MachineError("loader",
                         "there is no shared memory at {0}: {1}; mount it: `mount -t tmpfs tmpfs {0}`, {2} "
                         "(shared-memory-missing)",
                         directory, std::strerror(error), without);
    case EROFS:
    case EACCES:
    case EPERM:
    case EOPNOTSUPP:
      throw MachineError("loader",
                         "{0} cannot be written: {1}; `chmod 1777 {0}`, `mount -o remount,rw {0}`, {2} "
                         "(shared-memory-unwritable)",
                         directory, std::strerror(error), without);
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
      throw MachineError("loader",
                         "{0} takes no more files: {1}; `df -i {0}` shows how many it may hold, remove what is left "
                         "over there, {2} (shared-memory-unwritable)",
                         directory, std::strerror(error), without);
    default:
      throw_system_error("loader", "open an unnamed file", directory, error);
  }
}

}  // namespace

UniqueFd open_shared_file(const std::string& directory, std::size_t bytes) {
  UniqueFd file(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) refuse(directory, errno);
  check_call(ftruncate(file.get(), static_cast<off_t>(bytes)), "loader", "ftruncate", directory,
             "see `ulimit -f` where the file is too large");
  return file;
}

UniqueFd open_named_file(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) {
    const int error = errno;
    struct stat there{};
    if (lstat(path.c_str(), &there) == 0) throw_system_error("loader", "open", path, error);
    refuse(path.substr(0, path.rfind('/')), error);
  }
  struct stat status{};
  check_call(fstat(file.get(), &status), "loader", "fstat", path);
  if (!S_ISREG(status.st_mode) || status.st_uid != geteuid()) {
    throw RunError("loader", "{} is not this user's file: remove it or choose another name", path);
  }
  check_call(retry_on_eintr([&] { return flock(file.get(), LOCK_EX); }), "loader", "flock", path);
  return file;
}

// ftruncate is not enough: on a full tmpfs it succeeds, and the first access to a missing page raises SIGBUS.
bool reserve(int file, std::size_t begin, std::size_t bytes) {
  int error = 0;
  do {
    error = posix_fallocate(file, static_cast<off_t>(begin), static_cast<off_t>(bytes));
  } while (error == EINTR);
  // The limits of the mount, of the process, and of the cgroup.
  if (error == ENOSPC || error == EFBIG || error == ENOMEM) return false;
  if (error != 0) throw_system_error("loader", "posix_fallocate", "shared memory", error);
  return true;
}

}  // namespace trainyard
