/// Makes all ranks act on a request to stop or to save at the same step.
#pragma once

#include "distributed/process_group.h"
#include "util/stop_token.h"
#include "util/torch.h"

namespace trainyard {

/// A signal reaches the ranks at different times, or only one of them. Used from one thread; `group` must outlive it.
class StopAgreement {
 public:
  /// The requests that any rank has received.
  struct Requests {
    int signal = 0;     ///< the signal that requests a stop; 0: none
    bool save = false;  ///< whether a save was requested since the last call
  };

  StopAgreement(ProcessGroup& group, StopToken token) : group_(group), token_(token) {}

  /// Returns the requests up to now. Waits for the other ranks.
  Requests now();
  /// Call it in every step. Returns the requests up to the previous call, so that no rank waits; with a single rank,
  /// those up to now.
  Requests in_step();

 private:
  Requests own() const;
  void begin();
  Requests finish();

  ProcessGroup& group_;
  StopToken token_;
  at::Tensor flags_;  // signal, save
  ProcessGroup::Pending pending_;
};

}  // namespace trainyard
