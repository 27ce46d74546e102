#include "loader/zygote_process.h"

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/hello.h"
#include "loader/host_socket.h"
#include "loader/load_splits.h"
#include "loader/worker.h"
#include "util/error.h"
#include "util/log.h"
#include "util/process_name.h"

namespace trainyard {
namespace {

// Ends with the trainer; keeps only the three standard streams and the two given descriptors from it.
void detach_from_trainer(pid_t trainer, int socket, int ready_fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != trainer) _exit(0);  // it ended before the previous line
  set_process_name("loader zygote");

  unsigned next = 3;
  for (const int kept : {std::min(socket, ready_fd), std::max(socket, ready_fd)}) {
    const auto number = static_cast<unsigned>(kept);
    if (number > next) close_range(next, number - 1, 0);
    next = std::max(next, number + 1);
  }
  close_range(next, UINT_MAX, 0);

  // Resets the trainer's signal handlers. Signals that ask a run to end or to save reach the whole process group; only
  // the trainer decides how to react, and its workers end with it.
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGPIPE, SIGXFSZ}) signal(number, SIG_IGN);
}

// Blocks SIGCHLD and returns a descriptor that receives it instead.
UniqueFd child_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_SETMASK, &set, nullptr);
  return UniqueFd(check_call(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "loader", "signalfd", "SIGCHLD"));
}

// Like PR_SET_PDEATHSIG, but for a process that is not the parent: the kernel sends SIGKILL, which also ends a stopped
// process, when the last write end of `pipe` is closed.
void end_with_writer(int pipe) {
  check_call(fcntl(pipe, F_SETOWN, getpid()), "loader", "fcntl F_SETOWN", "zygote");
  check_call(fcntl(pipe, F_SETSIG, SIGKILL), "loader", "fcntl F_SETSIG", "zygote");
  check_call(fcntl(pipe, F_SETFL, O_ASYNC), "loader", "fcntl O_ASYNC", "zygote");
  pollfd writer{pipe, 0, 0};
  poll(&writer, 1, 0);
  if ((writer.revents & POLLHUP) != 0) _exit(0);  // it was closed before the lines above
}

// Reports why there is no pool: sends the exception that is being handled.
void send_failure(int socket) {
  Hello hello;
  try {
    throw;
  } catch (const Error& e) {
    hello.code = e.code();
    hello.error = e.what();
  } catch (const std::exception& e) {
    hello.code = ExitCode::run_failed;
    hello.error = fmt::format("[loader] {}", e.what());
  }
  try {
    send_hello(socket, hello, {});
  } catch (const Error&) {
    return;  // there is no reader
  }
}

// The zygote and its children. Only child processes leave it, by never returning.
class Family {
 public:
  // `splits` and `ranks` must outlive it; `ranks` is empty if there are no other ranks.
  Family(const PoolOptions& options, const std::vector<LoadedSplit>& splits, UniqueFd socket, UniqueFd ready,
         std::optional<HostSocket>& ranks)
      : options_(options), splits_(splits), socket_(std::move(socket)), ready_(std::move(ready)), ranks_(ranks) {}

  // Creates the arena and forks the workers, then serves the trainer and other ranks until the trainer closes the
  // socket.
  [[noreturn]] void live() noexcept;

 private:
  void found();
  void fork_workers();
  void fork_worker(std::uint32_t worker);
  void watch_over();
  void report_deaths();
  void obey(const ZygoteCommand& command);
  void fork_zygote(ZygoteRequest request);
  void leave() noexcept;
  void end() noexcept;

  const PoolOptions& options_;
  const std::vector<LoadedSplit>& splits_;
  UniqueFd socket_;
  UniqueFd ready_;
  std::optional<HostSocket>& ranks_;
  std::optional<Arena> arena_;
  UniqueFd deaths_;
  std::vector<pid_t> pids_;  // one per worker; 0: it has ended
  bool reserve_slots_ = false;
};

void Family::live() noexcept {
  try {
    found();
  } catch (...) {
    send_failure(socket_.get());
    _exit(0);
  }
  // Forks the workers only now: copying the page tables of a large dataset takes milliseconds per worker, and the first
  // workers can already read the first batch while the others are forked.
  fork_workers();
  watch_over();
  end();
  _exit(0);
}

void Family::found() {
  const Hello hello{.error = {}, .pid = getpid(), .splits = describe(splits_)};
  arena_.emplace(Arena::create(arena_shape(options_, hello.splits), options_.directory));
  deaths_ = child_signals();
  pids_.resize(arena_->shape().workers);
  send_hello(socket_.get(), hello, arena_->file().descriptors());
}

void Family::fork_workers() {
  for (std::uint32_t worker = 0; worker < pids_.size(); ++worker) fork_worker(worker);
}

void Family::fork_worker(std::uint32_t worker) {
  const pid_t zygote = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    socket_.reset();
    arena_->close_file();
    deaths_.reset();
    ranks_.reset();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    arena_->worker(worker).pid = getpid();  // it may read a sample before the zygote has set it
    run_worker(*arena_, splits_, options_, worker, zygote, ready_.get());
  }
  pids_[worker] = std::max(pid, 0);
  if (pid > 0) {
    arena_->worker(worker).pid = pid;
  } else {
    const WorkerExit exit{worker, -1, 0, errno};
    send(socket_.get(), &exit, sizeof exit, MSG_NOSIGNAL);
  }
}

void Family::watch_over() {
  std::array<pollfd, 3> events = {pollfd{socket_.get(), POLLIN, 0}, pollfd{deaths_.get(), POLLIN, 0}, pollfd{}};
  for (;;) {
    events[2] = {ranks_ ? ranks_->descriptor() : -1, POLLIN, 0};
    const bool reserves = reserve_slots_ && arena_->control().slots_to_come > 0;
    poll(events.data(), events.size(), reserves ? 0 : -1);
    if (reserves) {
      arena_->reserve_slot();
      eventfd_write(ready_.get(), 1);
    }
    ZygoteCommand command{};
    const ssize_t received = recv(socket_.get(), &command, sizeof command, MSG_DONTWAIT);
    if (received == 0) return;
    if (received == sizeof command) obey(command);
    report_deaths();
    if (!ranks_) continue;
    if (std::optional<ZygoteRequest> request = ranks_->next()) fork_zygote(std::move(*request));
  }
}

void Family::obey(const ZygoteCommand& command) {
  if (command.kind == ZygoteCommand::Kind::reserve_slots) {
    reserve_slots_ = true;
    return;
  }
  if (command.worker >= pids_.size()) return;
  const pid_t pid = pids_[command.worker];
  if (command.kind == ZygoteCommand::Kind::kill_worker) {
    if (pid > 0 && pid == command.pid) kill(pid, SIGKILL);  // the pid is not reused until it has been waited for
  } else if (pid == 0) {
    fork_worker(command.worker);
  }
}

// Reports workers only; other zygotes are waited for, too, but report to their own trainers.
void Family::report_deaths() {
  signalfd_siginfo info;
  while (read(deaths_.get(), &info, sizeof info) > 0) continue;  // several deaths may be merged into one signal
  for (int status = 0, pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto found = std::find(pids_.begin(), pids_.end(), pid);
    if (found == pids_.end()) continue;
    *found = 0;
    const WorkerExit exit{static_cast<std::uint32_t>(found - pids_.begin()), pid, status, 0};
    send(socket_.get(), &exit, sizeof exit, MSG_NOSIGNAL);
  }
}

// The new zygote shares the datasets but has its own trainer.
void Family::fork_zygote(ZygoteRequest request) {
  const pid_t pid = fork();
  if (pid > 0) return;
  try {
    check_call(pid, "loader", "fork", fmt::format("zygote of local rank {}", request.local_rank),
               "see `ulimit -u` and the container's limit of processes");
    leave();
    end_with_writer(request.lifeline.get());
    if (sched_setaffinity(0, sizeof request.cores, &request.cores) != 0) {
      log_warning("[loader] the workers of local rank {} stay on the cores of local rank 0: sched_setaffinity: {}",
                  request.local_rank, std::strerror(errno));
    }
  } catch (...) {
    send_failure(request.socket.get());
    if (pid == 0) _exit(0);
    return;
  }
  PoolOptions options = options_;
  options.workers = request.workers;
  Family(options, splits_, std::move(request.socket), std::move(request.ready), ranks_).live();
}

// Releases everything of this family except the datasets.
void Family::leave() noexcept {
  socket_.reset();
  ready_.reset();
  arena_.reset();
  deaths_.reset();
  ranks_.reset();
}

void Family::end() noexcept {
  for (const pid_t pid : pids_) {
    if (pid > 0) kill(pid, SIGKILL);
  }
  for (const pid_t pid : pids_) {
    if (pid > 0) retry_on_eintr([&] { return waitpid(pid, nullptr, 0); });
  }
}

}  // namespace

void run_zygote(const PoolOptions& options, const DatasetFactory& factory, pid_t trainer, int socket,
                int ready_fd) noexcept {
  detach_from_trainer(trainer, socket, ready_fd);
  std::optional<HostSocket> ranks;
  std::vector<LoadedSplit> splits;
  try {
    // Before the data is read: other ranks may send their requests meanwhile.
    if (options.local_ranks.count > 1) ranks.emplace(options.local_ranks);
    splits = load_splits(options, factory);
  } catch (...) {
    while (const std::optional<ZygoteRequest> request = ranks ? ranks->next() : std::nullopt) {
      send_failure(request->socket.get());
    }
    send_failure(socket);
    _exit(0);
  }
  Family(options, splits, UniqueFd(socket), UniqueFd(ready_fd), ranks).live();
}

}  // namespace trainyard
