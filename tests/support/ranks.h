/// Starts the ranks of a run as torchrun does, but faster.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "support/processes.h"
#include "support/subprocess.h"
#include "util/system.h"

namespace trainyard {

/// A port of this host on which nothing listens, and which the system gives to nobody else. A server with SO_REUSEADDR,
/// as that of a store, can listen on it.
class ReservedPort {
 public:
  ReservedPort() : socket_(check_call(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "test", "socket", "a port")) {
    constexpr int yes = 1;
    check_call(setsockopt(socket_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), "test", "setsockopt", "a port");
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    auto* const any = reinterpret_cast<sockaddr*>(&address_);
    check_call(bind(socket_.get(), any, size), "test", "bind", "a port");
    check_call(getsockname(socket_.get(), any, &size), "test", "getsockname", "a port");
  }

  int number() const { return ntohs(address_.sin_port); }

 private:
  UniqueFd socket_;
  sockaddr_in address_{};
};

/// One process per rank, all on this host.
class Ranks {
 public:
  /// One command per rank.
  explicit Ranks(const std::vector<std::vector<std::string>>& commands) {
    for (std::size_t rank = 0; rank < commands.size(); ++rank) {
      processes_.push_back(std::make_unique<Subprocess>(
          commands[rank],
          std::vector<std::string>{fmt::format("RANK={}", rank), fmt::format("WORLD_SIZE={}", commands.size()),
                                   fmt::format("LOCAL_RANK={}", rank),
                                   fmt::format("LOCAL_WORLD_SIZE={}", commands.size()), "MASTER_ADDR=127.0.0.1",
                                   fmt::format("MASTER_PORT={}", port_.number()), "OMP_NUM_THREADS=1"}));
    }
  }
  /// The same command for all ranks.
  Ranks(int count, const std::vector<std::string>& command)
      : Ranks(std::vector(static_cast<std::size_t>(count), command)) {}

  const Subprocess& operator[](std::size_t rank) const { return *processes_.at(rank); }

  /// Waits until all ranks have ended and returns the outcome of each.
  std::vector<Outcome> wait() {
    std::vector<Outcome> outcomes;
    for (const auto& process : processes_) outcomes.push_back(process->wait());
    return outcomes;
  }

 private:
  ReservedPort port_;
  std::vector<std::unique_ptr<Subprocess>> processes_;
};

/// Runs `command` as `count` ranks and waits for them. Returns the first nonzero exit code in the order of ranks, or 0,
/// and the output of all ranks.
inline Outcome run_ranks(int count, const std::vector<std::string>& command) {
  Outcome all{.exit_code = 0, .output = {}};
  const std::vector<Outcome> outcomes = Ranks(count, command).wait();
  for (std::size_t rank = 0; rank < outcomes.size(); ++rank) {
    if (all.exit_code == 0) all.exit_code = outcomes[rank].exit_code;
    all.output += fmt::format("rank {}:\n{}", rank, outcomes[rank].output);
  }
  return all;
}

/// Returns the processes of the ranks that `launcher` has started, i.e. the children of torchrun, which is its child.
/// Empty until torchrun runs.
inline std::vector<pid_t> ranks_of(const Subprocess& launcher) {
  const std::vector<pid_t> torchrun = children_of(launcher.pid());
  return torchrun.empty() ? std::vector<pid_t>() : children_of(torchrun.front());
}

}  // namespace trainyard
