#include "check/forked_process.h"

#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <exception>
#include <span>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <stdio_ext.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/anonymous.h"
#include "util/process_end.h"
#include "util/process_name.h"

namespace trainyard {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t longest_line = 4 << 20;  // the limit of recorded_from_json()

// The child keeps nothing else of its parent open: a process that hangs in the driver may outlive it.
void keep_only(int output) {
  const int input = check_call(open("/dev/null", O_RDONLY | O_CLOEXEC), "check", "open", "/dev/null");
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  close_range(STDERR_FILENO + 1, UINT_MAX, 0);
  __fpurge(stdout);  // what the parent will write itself
}

[[noreturn]] void run_child(const std::string& name, const std::function<void()>& body, int output, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);  // it ended before the previous line
  set_process_name(name);
  try {
    keep_only(output);
    body();
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    _exit(1);
  }
  _exit(0);
}

}  // namespace

ForkedProcess::ForkedProcess(const std::string& name, const std::function<void()>& body,
                             std::chrono::milliseconds limit)
    : deadline_(Clock::now() + limit), limit_(limit) {
  std::array<int, 2> ends{};
  check_call(pipe2(ends.data(), O_CLOEXEC), "check", "pipe2", name);
  output_.reset(ends[0]);
  const UniqueFd input(ends[1]);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) run_child(name, body, input.get(), parent);
  if (pid_ < 0) fork_error_ = errno;
}

ForkedProcess::ForkedProcess(ForkedProcess&& other) noexcept
    : deadline_(other.deadline_),
      limit_(other.limit_),
      pid_(std::exchange(other.pid_, -1)),
      output_(std::move(other.output_)),
      fork_error_(other.fork_error_),
      in_time_(other.in_time_),
      last_words_(std::move(other.last_words_)) {}

ForkedProcess::~ForkedProcess() {
  if (pid_ > 0) reap(true);
}

void ForkedProcess::read_lines(const TakeLine& take) {
  const auto take_line = [&](const std::string& line) {
    if (!take(line)) last_words_ = anonymous(line.substr(0, 200));
  };
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    if (left <= 0) return;
    pollfd waiting{output_.get(), POLLIN, 0};
    if (retry_on_eintr([&] { return poll(&waiting, 1, static_cast<int>(left)); }) == 0) return;
    const ssize_t got = retry_on_eintr([&] { return read(output_.get(), buffer.data(), buffer.size()); });
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      take_line(text.substr(0, end));
    }
    if (text.size() > longest_line) text.clear();
  }
  if (!text.empty()) take_line(text);
  in_time_ = true;
}

// The status from waitpid; -1 if even a killed process does not end, e.g. because it hangs inside the driver.
int ForkedProcess::reap(bool killed) {
  if (killed) kill(pid_, SIGKILL);
  const pid_t pid = std::exchange(pid_, -1);
  for (const auto until = Clock::now() + std::chrono::seconds(2);;) {
    int status = 0;
    if (retry_on_eintr([&] { return waitpid(pid, &status, WNOHANG); }) != 0) return status;
    if (Clock::now() > until) {
      if (killed) return -1;
      kill(pid, SIGKILL);
      killed = true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

std::optional<ProcessFailure> ForkedProcess::end() {
  if (fork_error_ != 0) {
    const char* const why = std::strerror(fork_error_);  // NOLINT(concurrency-mt-unsafe): one thread
    return {{"error", fmt::format("fork: {}", why)}};
  }
  const int status = reap(!in_time_);
  const std::string words = last_words_.empty() ? "" : ": " + last_words_;
  if (!in_time_) {
    return {{"hung", fmt::format("no answer within {} s{}", static_cast<double>(limit_.count()) / 1000, words)}};
  }
  if (WIFSIGNALED(status)) return {{"crashed", signal_text(WTERMSIG(status)) + words}};
  if (WEXITSTATUS(status) != 0) return {{"crashed", fmt::format("exit code {}{}", WEXITSTATUS(status), words)}};
  return std::nullopt;
}

void tell_parent(const std::string& text) {
  const std::string line = text + "\n";
  write_all(STDOUT_FILENO, std::as_bytes(std::span(line)), "check", "a result");
}

}  // namespace trainyard
