/// Signals as requests. SIGINT, SIGTERM and SIGHUP: finish the step, save, leave with 128 + n. SIGUSR1: save and
/// continue.
#pragma once

#include "util/stop_token.h"

namespace trainyard {

/// Installs the signal handlers for its lifetime and restores the former ones afterwards. The first signal to stop only
/// becomes a request; a second one ends the process at once, as by default. Every SIGUSR1 requests a save. At most one
/// at a time; made and destroyed on the main thread.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// Sees the requests of this one's lifetime.
  StopToken token() const;
};

}  // namespace trainyard
