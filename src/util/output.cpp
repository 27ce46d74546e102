#include "util/output.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>

#include <fcntl.h>
#include <unistd.h>

#include "util/log.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr const char* where = "output";

bool output_is_needed = true;
bool warned = false;

std::string cannot_write(int error) { return fmt::format("cannot write to standard output: {}", std::strerror(error)); }

void lose_output(int error) {
  if (output_is_needed) throw OutputError(error);
  std::clearerr(stdout);
  if (error == EPIPE || std::exchange(warned, true)) return;
  log_warning("[{}] {}; the command continues without it", where, cannot_write(error));
}

}  // namespace

OutputError::OutputError(int error)
    : Error(ExitCode::run_failed, where, cannot_write(error)), closed_pipe_(error == EPIPE) {}

void prepare_standard_streams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) != -1) continue;
    // open() returns the lowest free number, which is `fd`. Like any standard stream, it is not closed by exec.
    static_cast<void>(open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY));  // NOLINT(android-cloexec-open)
  }
  for (const int number : {SIGPIPE, SIGXFSZ}) std::signal(number, SIG_IGN);
}

void continue_without_output() { output_is_needed = false; }

void write_output(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) < text.size()) lose_output(errno);
}

void flush_output() {
  if (std::fflush(stdout) != 0) {
    lose_output(errno);
  } else if (std::ferror(stdout) != 0) {
    lose_output(EIO);  // an earlier unchecked write failed, and its errno is gone
  }
}

void print_text(std::string_view text) { write_output(printable_lines(text, SIZE_MAX)); }

void print_error(std::string_view line) noexcept {
  try {
    const std::string text = printable_lines(line) + "\n";
    std::fwrite(text.data(), 1, text.size(), stderr);
  } catch (const std::exception&) {  // out of memory: nothing can be reported
  }
}

}  // namespace trainyard
