/// Tells when the trainer has waited too long, and names the worker and the sample it waited for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "loader/tickets.h"

namespace trainyard {

/// Workers that are too late.
struct Hang {
  std::vector<std::uint32_t> workers;
  std::string what;  ///< which worker, which sample, for how long, what the kernel says it is doing
};

/// For one wait for `batches`; made when the wait begins. The arena and the batches must outlive it.
class HangWatch {
 public:
  HangWatch(const Arena& arena, std::span<const PublishedBatch> batches, double timeout_seconds);

  /// The hang there is now: a worker has been reading one sample for longer than the limit, or for as long nobody has
  /// read anything. Tells of it once, and again when a few seconds later it is still there.
  std::optional<Hang> look();
  /// For how long to sleep before looking again, at most. News that got lost, because a worker died or was stopped
  /// between handing in and saying so, costs no more than this second.
  int milliseconds_left() const;

 private:
  Hang reading_too_long(std::uint32_t worker, double seconds) const;
  Hang nobody_reads(double seconds) const;
  std::vector<std::uint32_t> waited_for() const;

  const Arena& arena_;
  std::span<const PublishedBatch> batches_;
  std::int64_t timeout_ns_;
  std::int64_t next_look_ns_;
  std::int64_t progress_ns_;        ///< when somebody was last seen to have read something
  std::uint64_t samples_ = 0;       ///< read by all workers until then
  std::int64_t overdue_since_ = 0;  ///< when the current suspect was first found late; 0: there is none
  std::int64_t suspect_began_ = 0;
};

}  // namespace trainyard
