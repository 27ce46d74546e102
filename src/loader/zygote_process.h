/// Runs the zygote's side, in the forked process.
#pragma once

#include "loader/zygote.h"

namespace trainyard {

/// The main function of the zygote; never returns to the caller's stack frames. `socket` is a SOCK_SEQPACKET. With
/// several options.local_ranks it also forks the zygotes of the other ranks on request.
[[noreturn]] void run_zygote(const PoolOptions& options, const DatasetFactory& factory, pid_t trainer, int socket,
                             int ready_fd) noexcept;

}  // namespace trainyard
