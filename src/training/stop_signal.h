/// SIGINT, SIGTERM and SIGHUP as a request: finish the step, save, leave with 128 + n.
#pragma once

namespace trainyard {

/// While one lives, the first of these signals is only noted; a second one ends the process at once, as by default.
/// Destroying it restores what was there before. At most one at a time; made and destroyed on the main thread.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// The signal that came, 0 for none yet. May be called from any thread.
  static int received();
};

}  // namespace trainyard
