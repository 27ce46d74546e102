#include "distributed/launch.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <sstream>
#include <vector>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "distributed/cause.h"
#include "distributed/outcome.h"
#include "distributed/rank.h"
#include "distributed/torchrun_py.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/process_end.h"
#include "util/signals.h"
#include "util/system.h"
#include "util/text_lines.h"

namespace trainyard {
namespace {

constexpr const char* where = "distributed";
constexpr const char* memory_remedy = "give the container more, or lower loader.batch_size";
constexpr const char* one_device = "or train on one device: --train.device cuda:0";
constexpr std::array watched_signals = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGTSTP, SIGCHLD};

std::string python() {
  const char* const given = std::getenv("TORCH_PYTHON");  // NOLINT(concurrency-mt-unsafe): one thread
  return given != nullptr && *given != '\0' ? given : TRAINYARD_TORCH_PYTHON;
}

std::vector<std::string> arguments_of_this_process() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  if (words.empty()) throw RunError(where, "/proc/self/cmdline cannot be read; mount /proc");
  return words;
}

std::vector<std::string> torchrun_command(const LaunchOptions& options) {
  std::vector<std::string> command = {
      // clang-format off
      python(), "-W", "ignore", "-c", torchrun_py,
      "--standalone",
      "--local-addr", "127.0.0.1",  // the host's name may resolve to nothing, e.g. in a container without a network
      "--nproc-per-node", std::to_string(options.processes),
      "--max-restarts", std::to_string(options.max_restarts),
      "--log-dir", "/dev/null",  // otherwise torchrun leaves an empty folder in /tmp
      "--no-python", std::filesystem::read_symlink("/proc/self/exe").string()
      // clang-format on
  };
  const std::vector<std::string> words = arguments_of_this_process();
  command.insert(command.end(), words.begin() + 1, words.end());
  return command;
}

sigset_t set_of(std::span<const int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : signals) sigaddset(&set, number);
  return set;
}

// A blocked signal is received even if it is ignored.
sigset_t signals_to_watch() {
  sigset_t set = set_of(watched_signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    if (is_ignored(number)) sigdelset(&set, number);
  }
  return set;
}

// Reads the line "PPid:"; returns 0 if there is no such process.
int parent_of(int pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  int parent = 0;
  for (std::string line; std::getline(status, line);) {
    if (std::istringstream words(line); words >> line && line == "PPid:") words >> parent;
  }
  return parent;
}

class Launcher {
 public:
  explicit Launcher(const LaunchOptions& options) : options_(options) {
    signal(SIGCHLD, SIG_DFL);  // if it is ignored, the exit status of children is lost
    sigprocmask(SIG_BLOCK, &watched_, &given_mask_);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
  }

  int run();

 private:
  void start();
  [[noreturn]] void become_torchrun(const std::vector<std::string>& command, const std::string& channel,
                                    pid_t launcher) const noexcept;
  void take_signal();
  void stop_by(int number);
  void pass_on_stop();
  void pass_on_save();
  void pause() const;
  void reap();
  void end_all();
  std::vector<int> ranks_that_take_signals() const;
  int result();
  std::string line_of(const Cause& cause);

  LaunchOptions options_;
  OutcomeChannel channel_;
  ProcessEnds ends_;
  const sigset_t watched_ = signals_to_watch();
  sigset_t given_mask_{};
  pid_t torchrun_ = -1;
  int torchrun_status_ = 0;
  int stop_ = 0;                 // the signal to stop; 0: none yet
  std::int64_t first_stop_ = 0;  // when the first was passed on, monotonic_ns()
  bool save_ = false;            // a save was requested, and no rank has been told
  bool stopped_hard_ = false;    // ranks were killed and may not have saved
  std::vector<int> stopping_;    // process ids of the ranks that were sent stop_
};

int Launcher::run() {
  start();
  while (torchrun_ > 0) take_signal();
  end_all();
  return result();
}

void Launcher::start() {
  const std::vector<std::string> command = torchrun_command(options_);
  const std::string channel = channel_.path();
  const pid_t launcher = getpid();
  torchrun_ = check_call(fork(), where, "fork", "torchrun", "see `ulimit -u` and the container's limit of processes");
  if (torchrun_ == 0) become_torchrun(command, channel, launcher);
}

void Launcher::become_torchrun(const std::vector<std::string>& command, const std::string& channel,
                               pid_t launcher) const noexcept {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != launcher) _exit(1);  // the launcher ended before the call above
  setpgid(0, 0);                        // Ctrl-C reaches only the launcher
  sigprocmask(SIG_SETMASK, &given_mask_, nullptr);
  // NOLINTBEGIN(concurrency-mt-unsafe): one thread
  setenv(launcher_variable, fmt::format("{} {}", getpid(), channel).c_str(), 1);
  setenv("OMP_NUM_THREADS", std::to_string(std::max(usable_cores() / options_.processes, 1)).c_str(), 0);
  // NOLINTEND(concurrency-mt-unsafe)
  std::vector<char*> words;
  words.reserve(command.size() + 1);
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  execvp(words[0], words.data());
  channel_.tell_missing(std::strerror(errno));
  _exit(1);
}

void Launcher::take_signal() {
  // Without a signal it returns after a moment, to pass a request on to ranks that start to take signals only now; and,
  // at any time, after this process was stopped and continued.
  constexpr timespec moment{.tv_sec = 0, .tv_nsec = 100'000'000};
  const int number = stop_ == 0 && !save_ ? sigwaitinfo(&watched_, nullptr) : sigtimedwait(&watched_, nullptr, &moment);
  if (number == SIGCHLD) {
    reap();
  } else if (number == SIGTSTP) {
    pause();
  } else if (number == SIGUSR1) {
    save_ = true;
    pass_on_save();
  } else if (number > 0) {
    stop_by(number);
  } else {
    if (stop_ != 0) pass_on_stop();
    if (save_) pass_on_save();
  }
}

void Launcher::stop_by(int number) {
  const bool second = stop_ != 0;
  if (second && is_same_stop(first_stop_, monotonic_ns())) return;
  stop_ = number;
  if (!second) {
    pass_on_stop();
    first_stop_ = monotonic_ns();  // one that arrived meanwhile is taken next
  }
  if (second || stopping_.empty()) {
    stopped_hard_ = true;
    kill(torchrun_, SIGKILL);  // its death also ends the ranks
  }
}

void Launcher::pass_on_stop() {
  for (const int pid : ranks_that_take_signals()) {
    if (std::find(stopping_.begin(), stopping_.end(), pid) != stopping_.end()) continue;
    stopping_.push_back(pid);
    kill(pid, stop_);
  }
}

// The ranks agree on it, so it reaches all if it reaches one.
void Launcher::pass_on_save() {
  const std::vector<int> ranks = ranks_that_take_signals();
  for (const int pid : ranks) kill(pid, SIGUSR1);
  save_ = ranks.empty();
}

// Each rank leads a process group that includes its workers.
void Launcher::pause() const {
  const std::vector<int> ranks = ranks_that_take_signals();
  for (const int rank : ranks) kill(-rank, SIGSTOP);
  const sigset_t stop = set_of(std::array{SIGTSTP});
  raise(SIGTSTP);
  sigprocmask(SIG_UNBLOCK, &stop, nullptr);  // stops here by the default action; no effect if no shell can continue it
  sigprocmask(SIG_BLOCK, &stop, nullptr);
  for (const int rank : ranks) kill(-rank, SIGCONT);
}

void Launcher::reap() {
  int status = 0;
  for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    if (pid != torchrun_) continue;  // an orphan of torchrun
    torchrun_ = -1;
    torchrun_status_ = status;
  }
}

// Waits for the ranks, which become our children when torchrun has ended: killed ones take a moment to end. Does not
// wait long for processes that they have left running on purpose.
void Launcher::end_all() {
  constexpr int moments = 100;
  constexpr timespec moment{.tv_sec = 0, .tv_nsec = 50'000'000};
  for (int i = 0; i < moments; ++i) {
    pid_t pid = 0;
    while ((pid = waitpid(-1, nullptr, WNOHANG)) > 0) continue;
    if (pid < 0) return;  // no children are left
    nanosleep(&moment, nullptr);
  }
}

// A reported process id may have been reused by another process; a child of torchrun is a rank.
std::vector<int> Launcher::ranks_that_take_signals() const {
  std::vector<int> pids;
  for (const RankReport& report : reports_of_last_start(channel_.read())) {
    std::erase(pids, report.pid);
    if (report.kind == RankReport::Kind::takes_signals) pids.push_back(report.pid);
  }
  std::erase_if(pids, [&](int pid) { return parent_of(pid) != torchrun_; });
  return pids;
}

int Launcher::result() {
  const Outcomes outcomes = channel_.read();
  if (stopped_hard_) return 128 + stop_;
  if (!outcomes.torchrun_missing.empty()) {
    throw MachineError(
        where,
        "training on {} devices takes torchrun, which {} cannot run: {}; set TORCH_PYTHON to a Python with "
        "torch, {}",
        options_.processes, python(), outcomes.torchrun_missing, one_device);
  }
  if (WIFSIGNALED(torchrun_status_)) {
    throw RunError(where, "torchrun {}, and the {} ranks ended with it; rerun the same command to resume",
                   ends_.describe(torchrun_status_, memory_remedy), options_.processes);
  }
  if (!outcomes.torchrun_error.empty()) {
    throw RunError(where, "torchrun failed: {}; rerun the same command, {}", outcomes.torchrun_error, one_device);
  }
  if (WEXITSTATUS(torchrun_status_) != 0) {
    const std::optional<Cause> cause = first_cause(outcomes);
    if (!cause) throw RunError(where, "torchrun exited with code {}", WEXITSTATUS(torchrun_status_));
    if (stop_ != 0 && cause->exit_code == -stop_) return 128 + stop_;  // a rank that no longer took signals
    throw_error(cause->code, line_of(*cause));
  }
  for (const RankReport& report : reports_of_last_start(outcomes)) {
    if (report.kind == RankReport::Kind::stopped) return report.code;
  }
  return 0;
}

std::string Launcher::line_of(const Cause& cause) {
  if (cause.code == ExitCode::usage) return cause.message;
  const std::string rank = fmt::format("[{}] rank {} of {} on {}", where, cause.rank, options_.processes, host_name());
  // Only the first line: the rank has printed the whole message.
  if (!cause.message.empty()) return fmt::format("{}: {}", rank, first_line(cause.message));
  const int status = cause.exit_code < 0 ? -cause.exit_code : cause.exit_code << 8;  // in the format of waitpid()
  return fmt::format("{} {}; rerun the same command to resume", rank, ends_.describe(status, memory_remedy));
}

}  // namespace

int launch(const LaunchOptions& options) { return Launcher(options).run(); }

}  // namespace trainyard
