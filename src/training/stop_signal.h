/// Turns signals into requests. SIGINT, SIGTERM and SIGHUP: finish the step, save, exit with 128 + n. SIGUSR1: save and
/// continue.
#pragma once

#include "util/stop_token.h"

namespace trainyard {

/// Installs the signal handlers for its lifetime and then restores the previous ones. The first stop signal only
/// requests a stop; a second one (is_same_stop()) ends the process immediately, by the previous action. Every SIGUSR1
/// requests a save, also one that hold_back_save_requests() has held back. A stop signal that the process ignores stays
/// ignored. At most one at a time; created and destroyed on the main thread.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// Reports the requests made during this object's lifetime.
  StopToken token() const;
};

}  // namespace trainyard
