#include "distributed/connect_store.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <thread>

#include <netdb.h>
#include <sys/socket.h>

#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "util/error.h"
#include "util/log.h"
#include "util/system.h"

namespace trainyard {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr const char* where = "distributed";

// The store's operations wait for `patience`, too.
c10::intrusive_ptr<c10d::Store> connect(const Rank& rank, bool hosts, milliseconds patience) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(rank.port);
  options.isServer = hosts;
  options.waitWorkers = false;
  options.timeout = patience;
  return c10::make_intrusive<c10d::TCPStore>(rank.address, options);
}

std::string in_seconds(Clock::duration time) {
  return fmt::format("{} s", std::chrono::duration_cast<std::chrono::seconds>(time).count());
}

// Why no connection to `port` of `host` can be made; empty: one can. TCPStore would try again in silence, and write
// stack traces when it gives up.
std::string why_unreachable(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); error != 0) {
    return gai_strerror(error);
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  constexpr timeval at_most{.tv_sec = 5, .tv_usec = 0};
  std::string why;
  for (const addrinfo* each = addresses.get(); each != nullptr; each = each->ai_next) {
    const UniqueFd socket(check_call(::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), where, "socket", host));
    check_call(setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &at_most, sizeof at_most), where, "setsockopt", host);
    if (::connect(socket.get(), each->ai_addr, each->ai_addrlen) == 0) return "";
    why = std::system_category().message(errno == EINPROGRESS ? ETIMEDOUT : errno);
  }
  return why;
}

void wait_for_host(const Rank& rank, const StorePatience& patience) {
  constexpr milliseconds between_attempts(200);
  const Clock::time_point start = Clock::now();
  const std::string place = fmt::format("{}:{}", rank.address, rank.port);
  Clock::duration until_said = patience.until_said;
  for (std::string why; !(why = why_unreachable(rank.address, rank.port)).empty();) {
    const Clock::duration waited = Clock::now() - start;
    if (waited >= patience.in_all) {
      throw RunError(
          where,
          "rank {} of {} has waited {} for rank 0 to open the store at {}: {}; see that rank 0 was started and "
          "has not ended, that MASTER_ADDR and MASTER_PORT, if set, mean its host and a free port there, and "
          "that no firewall is between",
          rank.rank, rank.world_size, in_seconds(waited), place, why);
    }
    if (waited >= until_said) {
      until_said = 3 * waited;
      if (rank.local_rank == 0 || rank.rank == 1) {
        log_warning(
            "[{}] rank {} of {} has waited {} for rank 0 to open the store at {}, which it does once its datasets are "
            "built: {}; still waiting, {} in all",
            where, rank.rank, rank.world_size, in_seconds(waited), place, why, in_seconds(patience.in_all));
      }
    }
    std::this_thread::sleep_for(std::min<Clock::duration>(between_attempts, patience.until_said));
  }
}

}  // namespace

c10::intrusive_ptr<c10d::Store> connect_store(const Rank& rank, const StorePatience& patience) {
  if (!rank.hosts_store) wait_for_host(rank, patience);
  return connect(rank, rank.hosts_store, patience.in_all);
}

c10::intrusive_ptr<c10d::Store> connect_store_again(const Rank& rank) {
  return connect(rank, /*hosts=*/false, StorePatience().in_all);
}

}  // namespace trainyard
