/// Tells when the trainer has waited too long, and names the worker and the sample it waited for.
#pragma once

#include <cstdint>

#include "loader/arena.h"

namespace trainyard {

/// For one wait; made when the wait begins. The arena must outlive it.
class HangWatch {
 public:
  HangWatch(const Arena& arena, double timeout_seconds);

  /// For how long to sleep before asking again, at most. Throws RunError when a worker has been reading one sample for
  /// longer than the limit, or when for as long nobody has read anything.
  int milliseconds_left();

 private:
  const Arena& arena_;
  std::int64_t timeout_ns_;
  std::int64_t began_ns_;
  std::uint64_t samples_ = 0;       ///< read by all workers when there was last progress
  std::int64_t overdue_since_ = 0;  ///< when the current suspect was first found late; 0: there is none
  std::int64_t suspect_began_ = 0;
};

}  // namespace trainyard
