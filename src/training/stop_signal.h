/// Signals as requests. SIGINT, SIGTERM and SIGHUP: finish the step, save, leave with 128 + n. SIGUSR1: save and go on.
#pragma once

namespace trainyard {

/// While one lives, the first of the signals to stop is only noted; a second one ends the process at once, as by
/// default. SIGUSR1 is noted each time.
/// Destroying it restores what was there before. At most one at a time; made and destroyed on the main thread.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// The signal that came, 0 for none yet and where no StopSignal lives. May be called from any thread.
  static int received();

  /// Whether SIGUSR1 came since this was asked last. May be called from any thread.
  static bool take_save_request();
};

}  // namespace trainyard
