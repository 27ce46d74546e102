#include "loader/zygote_process.h"

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <cstring>

#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datasets/column_json.h"
#include "loader/load_splits.h"
#include "loader/worker.h"
#include "util/error.h"
#include "util/process_name.h"

namespace trainyard {
namespace {

// Ends with the trainer; keeps nothing of it but the three standard streams and the two descriptors given.
void leave_the_trainer_behind(pid_t trainer, int socket, int ready_fd) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != trainer) _exit(0);  // it ended before the line above
  set_process_name("loader zygote");

  unsigned next = 3;
  for (const int kept : {std::min(socket, ready_fd), std::max(socket, ready_fd)}) {
    const auto number = static_cast<unsigned>(kept);
    if (number > next) close_range(next, number - 1, 0);
    next = std::max(next, number + 1);
  }
  close_range(next, UINT_MAX, 0);

  // Handlers of the trainer have no business here. The signals that ask a run to end reach the whole process group;
  // what they mean is the trainer's to decide, and its workers end with it.
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ}) signal(number, SIG_IGN);
}

// Blocks SIGCHLD and returns the descriptor on which it arrives instead.
UniqueFd child_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_SETMASK, &set, nullptr);
  return UniqueFd(check_call(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "loader", "signalfd", "SIGCHLD"));
}

void send_hello(int socket, const Hello& hello, std::span<const int> arena) {
  const std::vector<std::uint8_t> text = encode(hello);
  std::uint64_t size = text.size();
  iovec data{&size, sizeof size};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(most_descriptors * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (!arena.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(arena.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(arena.size_bytes());
    std::memcpy(CMSG_DATA(header), arena.data(), arena.size_bytes());
  }
  check_call(retry_on_eintr([&] { return sendmsg(socket, &message, MSG_NOSIGNAL); }), "loader", "sendmsg",
             "shared memory", "see `ulimit -n`");
  for (std::size_t sent = 0; sent < text.size(); sent += hello_part) {
    const std::span part = std::span(text).subspan(sent, std::min(hello_part, text.size() - sent));
    check_call(retry_on_eintr([&] { return send(socket, part.data(), part.size(), MSG_NOSIGNAL); }), "loader", "send",
               "hello");
  }
}

void tell_or_end(int socket, const Hello& hello) {
  try {
    send_hello(socket, hello, {});
  } catch (const Error&) {
    _exit(1);  // nobody is left to be told
  }
}

// The zygote with its children. Only the child process that fork_worker() makes leaves it, by never returning.
class Family {
 public:
  Family(const PoolOptions& options, int socket, int ready_fd)
      : options_(options), socket_(socket), ready_fd_(ready_fd) {}

  // Builds the datasets and the arena.
  Hello found(const DatasetFactory& factory);
  std::vector<int> arena() const { return arena_ ? arena_->file().descriptors() : std::vector<int>(); }
  void fork_workers();
  // Forks, kills and tells of workers and reserves slots as the trainer asks, until it closes the socket.
  void watch_over();
  void end() noexcept;

 private:
  void fork_worker(std::uint32_t worker);
  void report_deaths();
  void obey(const ZygoteCommand& command);

  const PoolOptions& options_;
  int socket_;
  int ready_fd_;
  std::vector<LoadedSplit> splits_;
  std::optional<Arena> arena_;
  UniqueFd deaths_;
  std::vector<pid_t> pids_;  // one a worker; 0: it has ended
  bool reserve_slots_ = false;
};

Hello Family::found(const DatasetFactory& factory) {
  Hello hello;
  try {
    splits_ = load_splits(options_, factory);
    hello.splits = describe(splits_);
    arena_.emplace(Arena::create(arena_shape(options_, hello.splits), options_.directory));
    deaths_ = child_signals();
    pids_.resize(arena_->shape().workers);
  } catch (const Error& e) {
    hello = Hello{e.code(), e.what(), {}};
  } catch (const std::exception& e) {
    hello = Hello{ExitCode::run_failed, fmt::format("[loader] {}", e.what()), {}};
  }
  return hello;
}

void Family::fork_workers() {
  for (std::uint32_t worker = 0; worker < pids_.size(); ++worker) fork_worker(worker);
}

void Family::fork_worker(std::uint32_t worker) {
  const pid_t zygote = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(socket_);
    arena_->close_file();
    deaths_.reset();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    run_worker(*arena_, splits_, options_, worker, zygote, ready_fd_);
  }
  pids_[worker] = std::max(pid, 0);
  if (pid > 0) {
    arena_->worker(worker).pid = pid;
  } else {
    const WorkerExit exit{worker, -1, 0, errno};
    send(socket_, &exit, sizeof exit, MSG_NOSIGNAL);
  }
}

void Family::watch_over() {
  std::array<pollfd, 2> events = {pollfd{socket_, POLLIN, 0}, pollfd{deaths_.get(), POLLIN, 0}};
  for (;;) {
    const bool reserves = reserve_slots_ && arena_->control().slots_to_come > 0;
    poll(events.data(), events.size(), reserves ? 0 : -1);
    if (reserves) {
      arena_->reserve_slot();
      eventfd_write(ready_fd_, 1);
    }
    ZygoteCommand command{};
    const ssize_t received = recv(socket_, &command, sizeof command, MSG_DONTWAIT);
    if (received == 0) return;
    if (received == sizeof command) obey(command);
    report_deaths();
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
    if (pid > 0 && pid == command.pid) kill(pid, SIGKILL);  // its number is its own until it has been waited for
  } else if (pid == 0) {
    fork_worker(command.worker);
  }
}

void Family::report_deaths() {
  signalfd_siginfo info;
  while (read(deaths_.get(), &info, sizeof info) > 0) continue;  // several deaths may come as one signal
  for (int status = 0, pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
    const auto found = std::find(pids_.begin(), pids_.end(), pid);
    if (found == pids_.end()) continue;
    *found = 0;
    const WorkerExit exit{static_cast<std::uint32_t>(found - pids_.begin()), pid, status, 0};
    send(socket_, &exit, sizeof exit, MSG_NOSIGNAL);
  }
}

void Family::end() noexcept {
  for (const pid_t pid : pids_) {
    if (pid > 0) kill(pid, SIGKILL);
  }
  while (wait(nullptr) > 0 || errno == EINTR) continue;
}

nlohmann::json encoded(const Field& field) {
  nlohmann::json json = {
      {"name", field.name},     {"dtype", static_cast<int>(field.dtype)}, {"shape", field.shape},
      {"varies", field.varies}, {"is_picture", field.is_picture},         {"columns", field.columns}};
  if (field.values) json["values"] = field.values->count;
  if (field.values && field.values->ignored) json["ignored"] = *field.values->ignored;
  return json;
}

Field decoded_field(const nlohmann::json& json) {
  Field field{.name = json.at("name"),
              .dtype = static_cast<DType>(json.at("dtype").get<int>()),
              .shape = json.at("shape"),
              .varies = json.at("varies"),
              .is_picture = json.at("is_picture"),
              .values = std::nullopt,
              .columns = json.at("columns")};
  if (const auto values = json.find("values"); values != json.end()) field.values = ValueRange{*values};
  if (const auto ignored = json.find("ignored"); ignored != json.end()) {
    field.values->ignored = ignored->get<std::int64_t>();
  }
  return field;
}

// As bytes: an element of JSON takes twice the memory of a number.
nlohmann::json encoded(const std::vector<std::uint64_t>& numbers) {
  const std::span bytes = std::as_bytes(std::span(numbers));
  const auto* const first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return nlohmann::json::binary({first, first + bytes.size()});
}

std::vector<std::uint64_t> decoded_numbers(const nlohmann::json& json) {
  const nlohmann::json::binary_t& bytes = json.get_binary();
  std::vector<std::uint64_t> numbers(bytes.size() / sizeof(std::uint64_t));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

}  // namespace

// MessagePack: exact numbers, and names that need not be UTF-8.
std::vector<std::uint8_t> encode(const Hello& hello) {
  nlohmann::json splits = nlohmann::json::array();
  for (const SplitInfo& split : hello.splits) {
    splits.push_back({{"size", split.size},
                      {"fields", nlohmann::json::array()},
                      {"padded", split.padded},
                      {"class_names", split.class_names},
                      {"fingerprint", split.fingerprint},
                      {"mean", split.channel_mean},
                      {"std", split.channel_std},
                      {"class_counts", split.class_counts},
                      {"from_train", split.from_train},
                      {"left_out", nlohmann::json::array()}});
    for (const Field& field : split.fields) splits.back()["fields"].push_back(encoded(field));
    for (const LeftOut& one : split.left_out) {
      splits.back()["left_out"].push_back({{"reason", one.reason}, {"count", one.count}, {"first", one.first}});
    }
    if (const std::optional<RandomMirror>& mirror = split.mirror) {
      splits.back()["mirror"] = {{"place", mirror->place}, {"name_key", mirror->name_key}, {"p", mirror->p}};
    }
    if (!split.by_class.empty()) {
      splits.back()["by_class"] = {encoded(split.by_class.labels()), encoded(split.by_class.begins()),
                                   encoded(split.by_class.samples())};
    }
  }
  return nlohmann::json::to_msgpack(
      {{"code", static_cast<int>(hello.code)}, {"error", hello.error}, {"splits", splits}});
}

Hello decode_hello(std::span<const std::byte> bytes) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  const nlohmann::json json = nlohmann::json::from_msgpack(first, first + bytes.size());
  Hello hello{static_cast<ExitCode>(json.at("code").get<int>()), json.at("error").get<std::string>(), {}};
  for (const nlohmann::json& split : json.at("splits")) {
    hello.splits.push_back({.size = split.at("size"),
                            .fields = {},
                            .padded = split.at("padded"),
                            .class_names = split.at("class_names"),
                            .fingerprint = split.at("fingerprint"),
                            .channel_mean = split.at("mean"),
                            .channel_std = split.at("std"),
                            .class_counts = split.at("class_counts"),
                            .left_out = {},
                            .from_train = split.at("from_train"),
                            .mirror = std::nullopt,
                            .by_class = {}});
    for (const nlohmann::json& field : split.at("fields")) hello.splits.back().fields.push_back(decoded_field(field));
    for (const nlohmann::json& one : split.at("left_out")) {
      hello.splits.back().left_out.push_back({one.at("reason"), one.at("count"), one.at("first")});
    }
    if (const auto mirror = split.find("mirror"); mirror != split.end()) {
      hello.splits.back().mirror = {mirror->at("place"), mirror->at("name_key"), mirror->at("p")};
    }
    if (const auto lists = split.find("by_class"); lists != split.end()) {
      hello.splits.back().by_class = {decoded_numbers(lists->at(0)), decoded_numbers(lists->at(1)),
                                      decoded_numbers(lists->at(2))};
    }
  }
  return hello;
}

void run_zygote(const PoolOptions& options, const DatasetFactory& factory, pid_t trainer, int socket,
                int ready_fd) noexcept {
  leave_the_trainer_behind(trainer, socket, ready_fd);
  Family family(options, socket, ready_fd);
  Hello hello = family.found(factory);
  try {
    send_hello(socket, hello, family.arena());
  } catch (const Error& error) {  // the system may refuse to send descriptors
    hello = {error.code(), error.what(), {}};
    tell_or_end(socket, hello);
  }
  if (hello.code == ExitCode::done) {
    // Only now: copying the page tables of a large dataset takes milliseconds a worker, and the first ones can read
    // the first batch meanwhile.
    family.fork_workers();
    family.watch_over();
  }
  family.end();
  _exit(0);
}

}  // namespace trainyard
