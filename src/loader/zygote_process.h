/// The zygote's own side: what runs in the forked process.
#pragma once

#include "loader/zygote.h"

namespace trainyard {

/// The first message on the socket carries a memfd with this, and the arena's descriptors where there was no error.
struct Hello {
  ExitCode code = ExitCode::done;
  std::string error;  ///< a whole line where code is not `done`
  std::vector<SplitInfo> splits;
};

constexpr std::size_t most_descriptors = 64;  ///< that a message carries; more than the arena's and one

std::vector<std::uint8_t> encode(const Hello& hello);
Hello decode_hello(std::span<const std::byte> bytes);

/// The zygote's whole life; never returns to the caller's stack frames. `socket` is a SOCK_SEQPACKET.
[[noreturn]] void run_zygote(const PoolOptions& options, const DatasetFactory& factory, pid_t trainer, int socket,
                             int ready_fd) noexcept;

}  // namespace trainyard
