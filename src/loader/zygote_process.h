/// The zygote's own side: what runs in the forked process.
#pragma once

#include "loader/zygote.h"

namespace trainyard {

/// What the zygote says first. It is encoded; the first message on the socket carries the number of its bytes and the
/// arena's descriptors, none after an error, and those that follow carry up to `hello_part` of the bytes each.
struct Hello {
  ExitCode code = ExitCode::done;
  std::string error;  ///< a whole line where code is not `done`
  pid_t pid = -1;     ///< of the zygote
  std::vector<SplitInfo> splits;
};

constexpr std::size_t hello_part = 16 << 10;  ///< bytes: every system sends so much in one message

std::vector<std::uint8_t> encode(const Hello& hello);
Hello decode_hello(std::span<const std::byte> bytes);

/// The zygote's whole life; never returns to the caller's stack frames. `socket` is a SOCK_SEQPACKET. With several
/// options.local_ranks it also forks the zygotes of the others when they ask for one.
[[noreturn]] void run_zygote(const PoolOptions& options, const DatasetFactory& factory, pid_t trainer, int socket,
                             int ready_fd) noexcept;

}  // namespace trainyard
