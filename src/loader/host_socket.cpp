#include "loader/host_socket.h"

#include <array>
#include <cerrno>

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/descriptor_message.h"
#include "util/clock.h"
#include "util/error.h"
#include "util/log.h"
#include "util/random.h"

namespace trainyard {
namespace {

// A request without its descriptors.
struct Wanted {
  std::int32_t local_rank;
  std::int32_t workers;
  cpu_set_t cores;
};

AbstractAddress address_of(const LocalRanks& ranks) {
  return AbstractAddress(fmt::format("trainyard-{}-{:016x}", geteuid(), key_of(ranks.run)));
}

// Throws RunError if the request is incomplete.
ZygoteRequest receive_request(int socket) {
  Wanted wanted{};
  DescriptorMessage message = receive_with_descriptors(socket, std::as_writable_bytes(std::span(&wanted, 1)));
  if (message.bytes != sizeof wanted || message.descriptors.size() != 3) {
    throw RunError("loader",
                   "a process has sent {} bytes and {} descriptors to the socket of local rank 0, which is "
                   "not a rank's request: it is ignored",
                   message.bytes, message.descriptors.size());
  }
  return {.local_rank = wanted.local_rank,
          .workers = wanted.workers,
          .cores = wanted.cores,
          .socket = std::move(message.descriptors[0]),
          .ready = std::move(message.descriptors[1]),
          .lifeline = std::move(message.descriptors[2])};
}

UniqueFd connect_to_first(const LocalRanks& ranks) {
  constexpr int milliseconds_between_tries = 20;
  const AbstractAddress address = address_of(ranks);
  const auto deadline = monotonic_ns() + static_cast<std::int64_t>(ranks.timeout_seconds * 1e9);
  for (;; usleep(milliseconds_between_tries * 1000)) {
    UniqueFd socket = new_message_socket();
    if (retry_on_eintr([&] { return connect(socket.get(), address.get(), address.size()); }) == 0) return socket;
    if (errno != ECONNREFUSED) {
      throw_system_error("loader", "connect", "local rank 0, which reads the data of this host", errno);
    }
    if (monotonic_ns() > deadline) {
      throw RunError("loader",
                     "local rank 0 of this host, which reads the data for all of its {} ranks, has not started within "
                     "{:.3g} s (distributed.timeout): see its error, and that the host's ranks share one network "
                     "namespace",
                     ranks.count, ranks.timeout_seconds);
    }
  }
}

}  // namespace

HostSocket::HostSocket(const LocalRanks& ranks)
    : listener_(new_message_socket(SOCK_NONBLOCK)), to_come_(ranks.count - 1) {
  const AbstractAddress address = address_of(ranks);
  check_call(bind(listener_.get(), address.get(), address.size()), "loader", "bind", "the socket of local rank 0",
             "where the address is in use, another process of this run has the same local rank");
  check_call(listen(listener_.get(), to_come_), "loader", "listen", "the socket of local rank 0");
}

std::optional<ZygoteRequest> HostSocket::next() {
  constexpr timeval longest_pause{.tv_sec = 5, .tv_usec = 0};  // between a rank's connection and its request
  while (listener_) {
    const UniqueFd rank(retry_on_eintr([&] { return accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC); }));
    if (!rank) return std::nullopt;
    if (!is_of_this_user(rank.get())) continue;
    setsockopt(rank.get(), SOL_SOCKET, SO_RCVTIMEO, &longest_pause, sizeof longest_pause);
    try {
      ZygoteRequest request = receive_request(rank.get());
      if (--to_come_ == 0) close();
      return request;
    } catch (const RunError& error) {
      log_warning(error.what());
    }
  }
  return std::nullopt;
}

void request_zygote(const LocalRanks& ranks, int workers, int socket, int ready, int lifeline) {
  const UniqueFd first = connect_to_first(ranks);
  if (!is_of_this_user(first.get())) {
    throw RunError("loader",
                   "the socket of local rank 0 belongs to a process of another user: set another MASTER_PORT");
  }
  Wanted wanted{.local_rank = ranks.rank, .workers = workers, .cores = {}};
  check_call(sched_getaffinity(0, sizeof wanted.cores, &wanted.cores), "loader", "sched_getaffinity", "this rank");
  send_with_descriptors(first.get(), std::as_bytes(std::span(&wanted, 1)), std::array{socket, ready, lifeline});
}

}  // namespace trainyard
