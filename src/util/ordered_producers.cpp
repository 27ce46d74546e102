#include "util/ordered_producers.h"

#include <algorithm>
#include <csignal>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/error.h"
#include "util/process_name.h"

namespace trainyard {
namespace {

// Precedes each item in a pipe.
struct Head {
  std::uint64_t size = 0;          // bytes that follow
  ExitCode code = ExitCode::done;  // otherwise the bytes are the text of this kind of error
};

// How many bytes a process may work ahead, if the system allows this user so large a pipe.
constexpr int pipe_room = 1 << 20;

void send(int pipe, const Head& head, std::span<const std::byte> bytes, const std::string& where) {
  write_all(pipe, std::as_bytes(std::span(&head, 1)), where, "pipe");
  write_all(pipe, bytes, where, "pipe");
}

}  // namespace

OrderedProducers::OrderedProducers(std::size_t count, int processes, Make make, std::string where)
    : count_(count),
      step_(std::min(static_cast<std::size_t>(processes), count)),
      make_(std::move(make)),
      where_(std::move(where)) {
  for (std::size_t first = 0; first < step_; ++first) producers_.push_back(fork_producer(first));
}

OrderedProducers::Producer OrderedProducers::fork_producer(std::size_t first) {
  int ends[2];
  check_call(pipe2(ends, O_CLOEXEC), where_, "pipe2", "a worker's results");
  UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  fcntl(writing.get(), F_SETPIPE_SZ, pipe_room);
  const pid_t pid = check_call(fork(), where_, "fork", "a worker",
                               "see `ulimit -u` and the container's limit of processes, or set loader.workers = 0");
  if (pid == 0) {
    producers_.clear();  // close the other producers' pipes
    reading.reset();
    produce_from(first, writing.get());
  }
  return {pid, std::move(reading)};
}

// A broken pipe ends the process if nobody reads its items any more.
void OrderedProducers::produce_from(std::size_t first, int pipe) noexcept {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  set_process_name(fmt::format("{} {}/{}", where_, first % step_ + 1, step_));
  try {
    for (std::size_t index = first; index < count_; index += step_) send_item(index, pipe);
  } catch (const std::exception&) {
    _exit(1);  // the pipe is broken: there is nobody to report to
  }
  _exit(0);
}

void OrderedProducers::send_item(std::size_t index, int pipe) const {
  const auto report = [&](ExitCode code, std::string_view text) {
    send(pipe, {text.size(), code}, std::as_bytes(std::span(text)), where_);
  };
  std::span<const std::byte> item;
  try {
    item = make_(index);
  } catch (const Error& error) {
    return report(error.code(), error.what());
  } catch (const std::exception& error) {
    return report(ExitCode::run_failed, fmt::format("[{}] {}", where_, error.what()));
  }
  send(pipe, {item.size()}, item, where_);
}

OrderedProducers::~OrderedProducers() {
  for (Producer& producer : producers_) producer.pipe.reset();
  for (const Producer& producer : producers_) {
    if (producer.pid == 0) continue;
    kill(producer.pid, SIGKILL);
    waitpid(producer.pid, nullptr, 0);
  }
}

std::span<const std::byte> OrderedProducers::next() {
  const std::size_t index = taken_++;
  if (producers_.empty()) return make_(index);
  Producer& producer = producers_[index % producers_.size()];
  Head head;
  read_from(producer, std::as_writable_bytes(std::span(&head, 1)));
  item_.resize(head.size);
  read_from(producer, item_);
  if (head.code != ExitCode::done) {
    throw_error(head.code, {reinterpret_cast<const char*>(item_.data()), item_.size()});
  }
  return item_;
}

void OrderedProducers::read_from(Producer& producer, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got =
        check_call(retry_on_eintr([&] { return read(producer.pipe.get(), bytes.data(), bytes.size()); }), where_,
                   "read", "a worker's results");
    if (got == 0) throw_death(producer);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

void OrderedProducers::throw_death(Producer& producer) {
  int status = 0;
  const pid_t pid = std::exchange(producer.pid, 0);
  check_call(retry_on_eintr([&] { return waitpid(pid, &status, 0); }), where_, "waitpid", "a worker");
  const std::size_t index = taken_ - 1;
  if (index + step_ < count_) producer = fork_producer(index + step_);
  const std::string how = ends_.describe(status, "give the container more, or lower loader.workers");
  throw RunError(where_, "worker {} {} at sample {}", pid, how, index);
}

}  // namespace trainyard
