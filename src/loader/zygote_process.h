/// The zygote's own side: what runs in the forked process.
#pragma once

#include "loader/zygote.h"

namespace trainyard {

/// What the zygote says first. It is encoded; the first message on the socket carries the number of its bytes and the
/// arena's descriptors, none after an error, and those that follow carry up to `hello_part` of the bytes each.
struct Hello {
  ExitCode code = ExitCode::done;
  std::string error;  ///< a whole line where code is not `done`
  std::vector<SplitInfo> splits;
};

constexpr std::size_t most_descriptors = 64;  ///< that a message carries; more than the arena's
constexpr std::size_t hello_part = 16 << 10;  ///< bytes: every system sends so much in one message

std::vector<std::uint8_t> encode(const Hello& hello);
Hello decode_hello(std::span<const std::byte> bytes);

/// The zygote's whole life; never returns to the caller's stack frames. `socket` is a SOCK_SEQPACKET.
[[noreturn]] void run_zygote(const PoolOptions& options, const DatasetFactory& factory, pid_t trainer, int socket,
                             int ready_fd) noexcept;

}  // namespace trainyard
