#include "loader/shared_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"

namespace trainyard {

UniqueFd open_shared_file(const std::string& directory, std::size_t bytes) {
  UniqueFd file(check_call(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), "loader",
                           "open an unnamed file", directory,
                           "worker processes need a tmpfs there, and see `ulimit -n` where too many files are open"));
  check_call(ftruncate(file.get(), static_cast<off_t>(bytes)), "loader", "ftruncate", directory);
  return file;
}

UniqueFd open_named_file(const std::string& path) {
  UniqueFd file(
      check_call(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), "loader", "open", path));
  struct stat status{};
  check_call(fstat(file.get(), &status), "loader", "fstat", path);
  if (!S_ISREG(status.st_mode) || status.st_uid != geteuid()) {
    throw RunError("loader", "{} is no file of this user's: remove it or choose another name", path);
  }
  check_call(retry_on_eintr([&] { return flock(file.get(), LOCK_EX); }), "loader", "flock", path);
  return file;
}

// ftruncate is not enough: on a full tmpfs it succeeds, and the first touch of a page that is not there is a bus error.
bool reserve(int file, std::size_t begin, std::size_t bytes) {
  int error = 0;
  do {
    error = posix_fallocate(file, static_cast<off_t>(begin), static_cast<off_t>(bytes));
  } while (error == EINTR);
  // The mount's limit, the process's, the cgroup's.
  if (error == ENOSPC || error == EFBIG || error == ENOMEM) return false;
  if (error != 0) throw_system_error("loader", "posix_fallocate", "shared memory", error);
  return true;
}

}  // namespace trainyard
