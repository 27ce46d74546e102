#include "check/probe_process.h"

#include <array>
#include <cmath>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/anonymous.h"
#include "check/facts_json.h"
#include "util/error.h"
#include "util/process_end.h"

extern char** environ;

namespace trainyard {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::string_view starting = "starting ";
constexpr std::size_t longest_line = 64 << 10;

struct FileActions {
  posix_spawn_file_actions_t value;
  FileActions() { posix_spawn_file_actions_init(&value); }
  ~FileActions() { posix_spawn_file_actions_destroy(&value); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
};

}  // namespace

ProbeProcess::ProbeProcess(std::string device, const std::vector<std::string>& command, std::chrono::milliseconds limit)
    : device_(std::move(device)), deadline_(Clock::now() + limit), limit_(limit) {
  std::array<int, 2> ends{};
  check_call(pipe2(ends.data(), O_CLOEXEC), "check", "pipe2", "output of a probe");
  output_.reset(ends[0]);
  const UniqueFd input(ends[1]);
  FileActions actions;
  posix_spawn_file_actions_addopen(&actions.value, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions.value, input.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions.value, input.get(), STDERR_FILENO);
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const int error = posix_spawn(&pid_, arguments[0], &actions.value, nullptr, arguments.data(), environ);
  if (error != 0) {
    pid_ = -1;
    throw_system_error("check", "posix_spawn", command[0], error);
  }
}

ProbeProcess::ProbeProcess(ProbeProcess&& other) noexcept
    : device_(std::move(other.device_)),
      deadline_(other.deadline_),
      limit_(other.limit_),
      pid_(std::exchange(other.pid_, -1)),
      output_(std::move(other.output_)),
      current_(std::move(other.current_)),
      last_words_(std::move(other.last_words_)),
      probes_(std::move(other.probes_)) {}

ProbeProcess::~ProbeProcess() {
  if (pid_ > 0) reap(true);
}

// Reads lines until the process closes its output (returns true) or the time is up (false).
bool ProbeProcess::read_all() {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    if (left <= 0) return false;
    pollfd waiting{output_.get(), POLLIN, 0};
    if (retry_on_eintr([&] { return poll(&waiting, 1, static_cast<int>(left)); }) == 0) return false;
    const ssize_t got = retry_on_eintr([&] { return read(output_.get(), buffer.data(), buffer.size()); });
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      take_line(text.substr(0, end));
    }
    if (text.size() > longest_line) text.clear();
  }
  if (!text.empty()) take_line(text);
  return true;
}

void ProbeProcess::take_line(const std::string& line) {
  if (line.starts_with(starting)) {
    current_ = line.substr(starting.size());
    return;
  }
  try {
    probes_.push_back(probe_from_json(line));
    current_ = "end";
  } catch (const UsageError&) {
    last_words_ = anonymous(line.substr(0, 200));
  }
}

// The status from waitpid; -1 if even a killed process does not end, e.g. because it hangs inside the driver.
int ProbeProcess::reap(bool killed) {
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

void ProbeProcess::add_failure(const char* outcome, std::string message) {
  if (!last_words_.empty()) message += ": " + last_words_;
  probes_.push_back({device_, current_, outcome, std::move(message), 0, std::nan("")});
}

std::vector<ProbeFacts> ProbeProcess::finish() {
  const bool ended = read_all();
  const int status = reap(!ended);
  if (!ended) {
    add_failure("hung", fmt::format("no answer within {} s", static_cast<double>(limit_.count()) / 1000));
  } else if (WIFSIGNALED(status)) {
    add_failure("crashed", signal_text(WTERMSIG(status)));
  } else if (WEXITSTATUS(status) != 0) {
    add_failure("crashed", fmt::format("exit code {}", WEXITSTATUS(status)));
  } else if (probes_.empty()) {
    add_failure("crashed", "it ended without a result");
  }
  return std::move(probes_);
}

}  // namespace trainyard
