/// The zygote's first message to its trainer: the splits and the arena, or why there are none.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "loader/split.h"
#include "util/error.h"
#include "util/system.h"

namespace trainyard {

struct Hello {
  ExitCode code = ExitCode::done;
  std::string error;  ///< the full error line, if code is not `done`
  pid_t pid = -1;     ///< of the zygote
  std::vector<SplitInfo> splits;
};

struct ReceivedHello {
  Hello hello;
  std::vector<UniqueFd> arena;  ///< the descriptors of its files; none after an error
};

/// Sends `hello` on a SOCK_SEQPACKET socket; the receiver gets duplicates of the arena's descriptors. Throws RunError.
void send_hello(int socket, const Hello& hello, std::span<const int> arena);

/// Waits for a Hello. Returns nullopt if the socket is closed before all of it has arrived. Throws RunError.
std::optional<ReceivedHello> receive_hello(int socket);

}  // namespace trainyard
