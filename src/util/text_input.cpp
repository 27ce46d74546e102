#include "util/text_input.h"

#include <array>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/error.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {
namespace {

bool is_pipe(int fd) {
  struct stat status{};
  return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

// Returns an empty descriptor if `path` is not a pipe. Without O_NONBLOCK, opening one would wait indefinitely for a
// writer.
UniqueFd open_pipe(const std::string& path) {
  constexpr int milliseconds_for_a_writer = 2000;
  UniqueFd pipe(retry_on_eintr([&] { return open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); }));
  if (!pipe || !is_pipe(pipe.get())) return {};
  pollfd writer{pipe.get(), POLLIN, 0};
  retry_on_eintr([&] { return poll(&writer, 1, milliseconds_for_a_writer); });
  fcntl(pipe.get(), F_SETFL, 0);
  return pipe;
}

std::string read_to_end(int fd, std::string_view where, const std::string& name, std::size_t most) {
  std::string text;
  std::array<char, 64 << 10> part;
  for (;;) {
    const ssize_t count =
        check_call(retry_on_eintr([&] { return read(fd, part.data(), part.size()); }), where, "read", name);
    if (count == 0) return text;
    text.append(part.data(), static_cast<std::size_t>(count));
    if (text.size() > most) throw RunError(where, "{} has more than the {} bytes that are read", name, most);
  }
}

}  // namespace

std::string read_text_input(const std::string& path, std::string_view where, std::size_t most) {
  if (path == "-") return read_to_end(STDIN_FILENO, where, "standard input", most);
  if (const UniqueFd pipe = open_pipe(path)) return read_to_end(pipe.get(), where, printable(path), most);
  return read_text_file(path, where, most);
}

}  // namespace trainyard
