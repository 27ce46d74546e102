/// Requests to stop or to save, on which all ranks act at the same step.
#pragma once

#include "distributed/process_group.h"
#include "util/stop_token.h"
#include "util/torch.h"

namespace trainyard {

/// A signal reaches ranks at different times, or one of them alone. Used from one thread; `group` must outlive it.
class StopAgreement {
 public:
  /// What any rank was asked for.
  struct Requests {
    int signal = 0;     ///< asks for a stop; 0: none is requested
    bool save = false;  ///< since the last call
  };

  StopAgreement(ProcessGroup& group, StopToken token) : group_(group), token_(token) {}

  /// Up to now. Waits for the other ranks.
  Requests now();
  /// For every step: up to the last call, so that nobody waits; up to now if the rank is alone.
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
