#include "util/folder_lock.h"

#include <cstring>
#include <mutex>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "util/log.h"

namespace trainyard {

std::optional<UniqueFd> try_to_lock(const std::filesystem::path& folder) {
  UniqueFd fd(
      check_call(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "run", "open folder", folder.string()));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) return std::nullopt;
  static std::once_flag said;
  std::call_once(said, [&, error = errno] {
    log_warning("[run] {}: this file system refuses locks ({}); do not train twice at the same time in one folder",
                folder.string(), std::strerror(error));
  });
  return fd;
}

bool names_folder(const std::filesystem::path& path, const UniqueFd& fd) {
  struct stat named{};
  struct stat opened{};
  if (stat(path.c_str(), &named) != 0 || fstat(fd.get(), &opened) != 0) return false;
  return named.st_dev == opened.st_dev && named.st_ino == opened.st_ino;
}

}  // namespace trainyard
