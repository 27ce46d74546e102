#include "datasets/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"
#include "util/system.h"

namespace trainyard {
namespace {

constexpr const char* where = "image";
constexpr off_t max_size = off_t{1} << 30;

}  // namespace

std::span<const std::byte> read_whole_file(const std::string& path, Scratch& scratch) {
  // Nonblocking, so that a named pipe is refused instead of waited for.
  const UniqueFd fd(check_call(retry_on_eintr([&] { return open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }),
                               where, "open", path));
  struct stat status{};
  check_call(fstat(fd.get(), &status), where, "fstat", path);
  if (!S_ISREG(status.st_mode)) throw RunError(where, "{} is not a regular file", path);
  if (status.st_size > max_size)
    throw RunError(where, "{} has {} bytes, at most {} are read", path, status.st_size, max_size);
  const std::span<std::byte> bytes = scratch.take(static_cast<std::size_t>(status.st_size));
  return bytes.first(read_at(fd.get(), bytes, 0, where, path));  // less where it was cut meanwhile; the decoder says so
}

}  // namespace trainyard
