#include "loader/zygote_process.h"

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <cstring>

#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/error.h"

namespace trainyard {
namespace {

// Ends with the trainer; keeps nothing of it but the three standard streams and the two descriptors given.
void leave_the_trainer_behind(pid_t trainer, int socket, int ready_fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != trainer) _exit(0);  // it ended before the line above
  prctl(PR_SET_NAME, "loader zygote");

  const auto [low, high] = std::minmax(socket, ready_fd);
  close_range(3, static_cast<unsigned>(low) - 1, 0);
  close_range(static_cast<unsigned>(low) + 1, static_cast<unsigned>(high) - 1, 0);
  close_range(static_cast<unsigned>(high) + 1, UINT_MAX, 0);

  // Handlers of the trainer have no business here. The signals that ask a run to end reach the whole process group;
  // what they mean is the trainer's to decide, and its workers end with it.
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) signal(number, SIG_IGN);
}

// Blocks SIGCHLD and returns the descriptor on which it arrives instead.
UniqueFd child_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_SETMASK, &set, nullptr);
  return UniqueFd(check_call(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "loader", "signalfd", "SIGCHLD"));
}

void send_hello(int socket, const Hello& hello, int arena_fd) {
  const UniqueFd description(check_call(memfd_create("loader hello", MFD_CLOEXEC), "loader", "memfd_create", "hello"));
  const std::vector<std::uint8_t> text = encode(hello);
  write_all(description.get(), std::as_bytes(std::span(text)), "loader", "hello");

  const std::array<int, 2> descriptors = {description.get(), arena_fd};
  const std::size_t carried = (arena_fd >= 0 ? 2 : 1) * sizeof(int);
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptors)> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(carried);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(carried);
  std::memcpy(CMSG_DATA(header), descriptors.data(), carried);
  check_call(retry_on_eintr([&] { return sendmsg(socket, &message, MSG_NOSIGNAL); }), "loader", "sendmsg", "hello");
}

struct Family {
  std::vector<LoadedSplit> splits;
  std::optional<Arena> arena;
  UniqueFd deaths;
};

// Builds the datasets and the arena and forks the workers.
Hello found_family(const PoolOptions& options, const DatasetFactory& factory, int socket, int ready_fd,
                   Family& family) {
  Hello hello;
  try {
    family.splits = factory();
    hello.splits = describe(family.splits);
    family.arena.emplace(Arena::create(arena_shape(options, hello.splits), options.directory));
    family.deaths = child_signals();
    const pid_t zygote = getpid();
    for (std::uint32_t worker = 0; worker < family.arena->shape().workers; ++worker) {
      const pid_t pid = check_call(fork(), "loader", "fork", fmt::format("worker {}", worker + 1),
                                   "see `ulimit -u` and the container's limit of processes");
      if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(socket);
        close(family.arena->fd());
        family.deaths.reset();
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        run_worker(*family.arena, family.splits, options.seed, worker, zygote, ready_fd);
      }
      family.arena->worker(worker).pid = pid;
    }
  } catch (const Error& e) {
    hello = Hello{e.code(), e.what(), {}};
  } catch (const std::exception& e) {
    hello = Hello{ExitCode::run_failed, fmt::format("[loader] {}", e.what()), {}};
  }
  return hello;
}

// Tells the trainer of each worker that ends, until the trainer closes the socket.
void watch_over(const Arena& arena, const UniqueFd& deaths, int socket) {
  std::array<pollfd, 2> events = {pollfd{socket, POLLIN, 0}, pollfd{deaths.get(), POLLIN, 0}};
  for (;;) {
    poll(events.data(), events.size(), -1);
    char byte = 0;
    if (events[0].revents != 0 && recv(socket, &byte, 1, MSG_DONTWAIT) == 0) return;
    signalfd_siginfo info;
    while (read(deaths.get(), &info, sizeof info) > 0) continue;  // several deaths may come as one signal
    for (int status = 0, pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      for (std::uint32_t worker = 0; worker < arena.shape().workers; ++worker) {
        if (arena.worker(worker).pid != pid) continue;
        const WorkerExit exit{worker, pid, status};
        send(socket, &exit, sizeof exit, MSG_NOSIGNAL);
      }
    }
  }
}

}  // namespace

// MessagePack: exact numbers, and names that need not be UTF-8.
std::vector<std::uint8_t> encode(const Hello& hello) {
  nlohmann::json splits = nlohmann::json::array();
  for (const SplitInfo& split : hello.splits) {
    splits.push_back({{"size", split.size},
                      {"shape", split.sample.shape},
                      {"dtype", static_cast<int>(split.sample.dtype)},
                      {"class_names", split.class_names},
                      {"fingerprint", split.fingerprint},
                      {"mean", split.channel_mean},
                      {"std", split.channel_std}});
  }
  return nlohmann::json::to_msgpack(
      {{"code", static_cast<int>(hello.code)}, {"error", hello.error}, {"splits", splits}});
}

Hello decode_hello(std::span<const std::byte> bytes) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const nlohmann::json json = nlohmann::json::from_msgpack(first, first + bytes.size());
  Hello hello{static_cast<ExitCode>(json.at("code").get<int>()), json.at("error").get<std::string>(), {}};
  for (const nlohmann::json& split : json.at("splits")) {
    hello.splits.push_back({split.at("size"),
                            {split.at("shape"), static_cast<DType>(split.at("dtype").get<int>())},
                            split.at("class_names"),
                            split.at("fingerprint"),
                            split.at("mean"),
                            split.at("std")});
  }
  return hello;
}

void run_zygote(const PoolOptions& options, const DatasetFactory& factory, pid_t trainer, int socket,
                int ready_fd) noexcept {
  leave_the_trainer_behind(trainer, socket, ready_fd);
  Family family;
  const Hello hello = found_family(options, factory, socket, ready_fd, family);
  const bool founded = hello.code == ExitCode::done;
  send_hello(socket, hello, founded ? family.arena->fd() : -1);
  if (founded) watch_over(*family.arena, family.deaths, socket);

  const std::uint32_t workers = family.arena ? family.arena->shape().workers : 0;
  for (std::uint32_t worker = 0; worker < workers; ++worker) {
    if (const pid_t pid = family.arena->worker(worker).pid; pid > 0) kill(pid, SIGKILL);
  }
  while (wait(nullptr) > 0 || errno == EINTR) continue;
  _exit(0);
}

}  // namespace trainyard
