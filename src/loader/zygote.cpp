#include "loader/zygote.h"

#include <algorithm>
#include <array>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loader/hello.h"
#include "loader/host_socket.h"
#include "loader/zygote_process.h"
#include "util/error.h"
#include "util/secondary_error.h"

namespace trainyard {

ArenaShape arena_shape(const PoolOptions& options, const std::vector<SplitInfo>& splits) {
  ArenaShape shape{.workers = static_cast<std::uint32_t>(options.workers),
                   .batch_size = static_cast<std::uint32_t>(options.batch_size)};
  for (const SplitInfo& split : splits) {
    shape.fields = static_cast<std::uint32_t>(split.fields.size());
    for (std::size_t i = 0; i < split.fields.size(); ++i) {
      shape.field_bytes.at(i) = std::max<std::uint64_t>(shape.field_bytes.at(i), split.fields[i].bytes());
    }
  }
  // Three chunks per two workers, so that workers that finish early need not wait for the earliest batch.
  const std::uint32_t least = (3 * shape.workers + 2 * shape.chunks() - 1) / (2 * shape.chunks());
  shape.slots = std::max(static_cast<std::uint32_t>(options.prefetch), least) + slots_of_trainer;
  return shape;
}

Zygote::Zygote(const PoolOptions& options, const DatasetFactory& factory) {
  ready_.reset(check_call(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "loader", "eventfd", "batches"));
  std::array<int, 2> ends{};
  check_call(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), "loader", "socketpair", "zygote");
  socket_.reset(ends[0]);
  UniqueFd zygote_end(ends[1]);

  if (options.local_ranks.rank == 0) {
    const pid_t trainer = getpid();
    pid_ = check_call(fork(), "loader", "fork", "zygote", "see `ulimit -u` and the container's limit of processes");
    if (pid_ == 0) run_zygote(options, factory, trainer, zygote_end.get(), ready_.get());
  } else {
    check_call(pipe2(ends.data(), O_CLOEXEC), "loader", "pipe2", "zygote");
    const UniqueFd reading_end(ends[0]);
    lifeline_.reset(ends[1]);
    request_zygote(options.local_ranks, options.workers, zygote_end.get(), ready_.get(), reading_end.get());
  }
  zygote_end.reset();  // so that the socket closes when the zygote ends
  try {
    take_hello();
  } catch (...) {
    end();
    throw;
  }
}

Zygote::~Zygote() { end(); }

void Zygote::take_hello() {
  std::optional<ReceivedHello> received = receive_hello(socket_.get());
  if (!received) throw_zygote_ended();
  Hello& hello = received->hello;
  if (hello.code != ExitCode::done) throw_error(hello.code, hello.error);
  pid_ = hello.pid;
  splits_ = std::move(hello.splits);
  arena_.emplace(Arena::attach(StripedFile(std::move(received->arena))));
}

void Zygote::wait(int milliseconds) {
  std::array<pollfd, 2> events = {pollfd{ready_.get(), POLLIN, 0}, pollfd{socket_.get(), POLLIN, 0}};
  if (poll(events.data(), events.size(), milliseconds) > 0 && events[0].revents != 0) {
    eventfd_t news = 0;
    eventfd_read(ready_.get(), &news);
  }
}

std::optional<WorkerExit> Zygote::next_exit() {
  WorkerExit exit{};
  const ssize_t received = retry_on_eintr([&] { return recv(socket_.get(), &exit, sizeof exit, MSG_DONTWAIT); });
  if (received == sizeof exit) return exit;
  if (received == -1 && errno == EAGAIN) return std::nullopt;
  throw_zygote_ended();
}

void Zygote::kill_worker(std::uint32_t worker, pid_t pid) {
  send_command({ZygoteCommand::Kind::kill_worker, worker, pid});
}

void Zygote::fork_worker(std::uint32_t worker) { send_command({ZygoteCommand::Kind::fork_worker, worker}); }

void Zygote::reserve_slots() { send_command({ZygoteCommand::Kind::reserve_slots}); }

void Zygote::send_command(const ZygoteCommand& command) {
  if (retry_on_eintr([&] { return send(socket_.get(), &command, sizeof command, MSG_NOSIGNAL); }) == -1) {
    throw_zygote_ended();
  }
}

std::string Zygote::describe_end(int wait_status) {
  return ends_.describe(wait_status, "give the container more, or lower loader.workers or loader.batch_size");
}

void Zygote::throw_zygote_ended() {
  const pid_t pid = std::exchange(pid_, -1);
  if (lifeline_ && pid < 0) {
    throw SecondaryError(ExitCode::run_failed, "loader",
                         "local rank 0, which reads the data for all ranks of this host, has ended before the data was "
                         "ready: see its error",
                         /*must_print=*/true);
  }
  int status = 0;
  if (lifeline_ || pid < 0 || retry_on_eintr([&] { return waitpid(pid, &status, 0); }) != pid) {
    throw RunError("loader", "the process that keeps the datasets and the workers has ended");
  }
  throw RunError("loader", "the process that keeps the datasets and the workers (pid {}) {}; the workers ended with it",
                 pid, describe_end(status));
}

void Zygote::end() noexcept {
  if (pid_ < 0) return;
  constexpr int milliseconds_to_end = 5000;  // a worker that waits for a dead network disk cannot be killed immediately
  shutdown(socket_.get(), SHUT_WR);
  pollfd ended{socket_.get(), 0, 0};  // POLLHUP is always reported
  const bool hangs = retry_on_eintr([&] { return poll(&ended, 1, milliseconds_to_end); }) == 0;
  if (lifeline_) {
    lifeline_.reset();  // kills it if it hangs
  } else {
    if (hangs) kill(pid_, SIGKILL);
    retry_on_eintr([&] { return waitpid(pid_, nullptr, 0); });
  }
  pid_ = -1;
}

}  // namespace trainyard
