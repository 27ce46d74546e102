/// Detects that the trainer has waited too long, and names the worker and the sample it waited for.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "loader/tickets.h"

namespace trainyard {

/// Workers that exceed the time limit.
struct Hang {
  std::vector<std::uint32_t> workers;
  std::string what;  ///< the worker, its sample, for how long, and its state in the kernel
};

/// For a single wait for `batches`; constructed when the wait begins. The arena and the batches must outlive it.
class HangWatch {
 public:
  HangWatch(const Arena& arena, std::span<const PublishedBatch> batches, double timeout_seconds);

  /// Returns the current hang, if any: a worker has been reading one sample for longer than the limit, or no worker has
  /// finished a sample for that long. Reports a hang once, and again if it is still there a few seconds later.
  std::optional<Hang> look();
  /// The longest time to sleep before the next look(). A notification is lost if a worker dies or is stopped between
  /// handing in a chunk and announcing it; such a loss delays the trainer by no more than this time.
  int milliseconds_left() const;

 private:
  Hang reading_too_long(std::uint32_t worker, double seconds) const;
  Hang nobody_reads(double seconds) const;
  std::vector<std::uint32_t> waited_for() const;

  const Arena& arena_;
  std::span<const PublishedBatch> batches_;
  std::int64_t timeout_ns_;
  std::int64_t next_look_ns_;
  std::int64_t progress_ns_;        ///< when a worker was last seen to have read a sample
  std::uint64_t samples_ = 0;       ///< read by all workers until then
  std::int64_t overdue_since_ = 0;  ///< when the current suspect was first found late; 0: none
  std::int64_t suspect_began_ = 0;
};

}  // namespace trainyard
