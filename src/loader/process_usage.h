/// Reads from /proc what the processes of a loader use, for benchmarks.
#pragma once

#include <span>
#include <vector>

#include <sys/types.h>

#include "loader/worker_pool.h"

namespace trainyard {

/// This process, the zygote and its workers.
std::vector<pid_t> processes_of(const WorkerPool& pool);

/// User and system time of these processes so far. Those that have ended count as zero.
double cpu_seconds(std::span<const pid_t> processes);

/// Resident memory of these processes, with shared pages divided among the processes that share them.
double pss_mib(std::span<const pid_t> processes);

}  // namespace trainyard
