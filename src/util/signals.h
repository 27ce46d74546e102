/// What signals do to this program before and between the times that something handles them.
#pragma once

#include <cstdint>

namespace trainyard {

/// Holds back SIGUSR1, a request to save, for a StopSignal: without it, one that arrives before training would end the
/// process. Call it before there are threads; it may be called before main.
void hold_back_save_requests() noexcept;

/// Call it first in main. As process 1 of a container, which the kernel shields from default actions, SIGINT, SIGTERM
/// and SIGHUP end the process with the exit code 128 + n, as they end any other.
void prepare_signals();

/// Whether a stop signal at the time `now_ns` belongs to the request of the first one at `first_ns`: what passes
/// signals on may send one twice, as timeout(1) does, to the program and then to its process group.
constexpr bool is_same_stop(std::int64_t first_ns, std::int64_t now_ns) { return now_ns - first_ns < 250'000'000; }

/// Whether the process ignores the signal, e.g. SIGHUP because nohup has started it: then nothing should handle it.
bool is_ignored(int signal);

}  // namespace trainyard
