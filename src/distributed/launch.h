/// Runs this program once per device of this host, through torchrun.
///
///     trainyard ── torchrun.py (a child, in a process group of its own) ── ranks, each in a session of its own
///         ▲                                                                  │
///         └────────────── outcomes in a file in memory (outcome.h) ◀─────────┘
#pragma once

namespace trainyard {

/// How many processes, and how often torchrun starts them again after one was lost.
struct LaunchOptions {
  int processes = 1;
  int max_restarts = 0;
};

/// Starts the program of this process with the same arguments as `processes` ranks and returns what to exit with, once
/// all of them have ended: 0, or 128 + n if they stopped by signal n after saving. The ranks have our standard streams.
///
/// SIGINT, SIGTERM, SIGHUP and SIGUSR1 are passed on to the ranks that take signals (TakesSignals); while there is none
/// yet, and for the second signal to stop, everything ends at once. SIGTSTP pauses the ranks with this process. All
/// processes end with this one, however it ends.
///
/// If a rank fails, throws the error that was the cause: RunError and MachineError name rank and host; UsageError is
/// the rank's own, which the ranks leave to us to print. Throws MachineError if there is no torchrun to be run: that of
/// the Python whose LibTorch was linked, or of the environment variable TORCH_PYTHON.
///
/// REQUIRES one thread. Signals stay blocked and this process adopts orphans from here on: exit after it.
int launch(const LaunchOptions& options);

}  // namespace trainyard
