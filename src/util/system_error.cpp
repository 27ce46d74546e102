#include "util/system_error.h"

#include <cerrno>

namespace trainyard {

std::string_view remedy_of(int error) {
  switch (error) {
    case ENOSPC:
      return "make room on the disk, or choose another run.dir";
    case EDQUOT:
      return "make room: this user's quota is used up";
    case EFBIG:
      return "raise the limit on the size of a file (`ulimit -f`), or choose a run.dir that takes larger files";
    case EROFS:
      return "mount it writable, or choose another run.dir";
    case EACCES:
    case EPERM:
      return "get the right to write there, or choose another run.dir";
    case ENAMETOOLONG:
      return "choose a shorter run.name or run.dir";
    case EISDIR:
      return "move away the folder that is in its place";
    case ENOTDIR:
      return "choose another run.dir: a part of this path is a file";
    case ENOENT:
    case ESTALE:
      return "put the folder back if it was moved or removed";
    case EIO:
      return "find out what is wrong with the disk (`dmesg`)";
    case EMFILE:
    case ENFILE:
      return "raise the limit on open files (`ulimit -n`)";
    default:
      return "remove the cause";
  }
}

}  // namespace trainyard
