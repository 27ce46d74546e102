/// Runs the zygote's side, in the forked process.
#pragma once

#include "loader/zygote.h"

namespace trainyard {

/// The zygote's first message, sent in encoded form. The first packet on the socket carries the encoded size and the
/// arena's descriptors (none after an error); each of those that follow carries up to `hello_part` bytes.
struct Hello {
  ExitCode code = ExitCode::done;
  std::string error;  ///< the full error line, if code is not `done`
  pid_t pid = -1;     ///< of the zygote
  std::vector<SplitInfo> splits;
};

constexpr std::size_t hello_part = 16 << 10;  ///< bytes that every system sends in one message

std::vector<std::uint8_t> encode(const Hello& hello);
Hello decode_hello(std::span<const std::byte> bytes);

/// The main function of the zygote; never returns to the caller's stack frames. `socket` is a SOCK_SEQPACKET. With
/// several options.local_ranks it also forks the zygotes of the other ranks on request.
[[noreturn]] void run_zygote(const PoolOptions& options, const DatasetFactory& factory, pid_t trainer, int socket,
                             int ready_fd) noexcept;

}  // namespace trainyard
