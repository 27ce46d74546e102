/// Runs this program once per device of this host, through torchrun.
///
///     trainyard ── torchrun.py (a child, in its own process group) ── ranks, each in its own session
///         ▲                                                              │
///         └────────────── outcomes in a file in memory (outcome.h) ◀─────┘
#pragma once

namespace trainyard {

/// The number of ranks, and how often torchrun restarts them after one was lost.
struct LaunchOptions {
  int processes = 1;
  int max_restarts = 0;
};

/// Starts this program with the same arguments as `processes` ranks and waits for all of them. Returns the exit code:
/// 0, or 128 + n if signal n stopped them after saving. The ranks inherit the standard streams.
///
/// SIGINT, SIGTERM, SIGHUP and SIGUSR1 are passed on to the ranks that take signals (TakesSignals). If no rank does
/// yet, SIGUSR1 waits for one; the others end everything immediately, as does a second signal to stop (is_same_stop()).
/// A signal that this process ignores stays ignored. SIGTSTP pauses the ranks with this process. All processes end with
/// this one, however it ends.
///
/// If a rank fails, throws the error that was the cause: RunError and MachineError name rank and host; UsageError is
/// the rank's own, which the ranks do not print themselves. Throws MachineError if torchrun cannot be run: that of the
/// Python whose LibTorch was linked, or of the Python in the environment variable TORCH_PYTHON.
///
/// REQUIRES one thread. Signals stay blocked and this process remains a child subreaper, so exit after this call.
int launch(const LaunchOptions& options);

}  // namespace trainyard
