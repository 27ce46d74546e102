/// Lets the ranks of a host share the memory of datasets and caches: the zygote of local rank 0 builds them and listens
/// on a socket; every other rank requests a zygote there, which is forked from that one.
///
/// The socket is in the abstract namespace: it has no file and disappears with the process that listens. Both ends
/// reject processes of other users, who could take the name first.
#pragma once

#include <cstdint>
#include <optional>

#include <sched.h>

#include "loader/pool_options.h"
#include "util/system.h"

namespace trainyard {

/// A rank's request. The zygote takes over the descriptors.
struct ZygoteRequest {
  std::int32_t local_rank = 0;
  std::int32_t workers = 1;
  cpu_set_t cores{};  ///< cores that the rank may use
  UniqueFd socket;    ///< passed to run_zygote()
  UniqueFd ready;     ///< an eventfd
  UniqueFd lifeline;  ///< a pipe; the zygote is killed when the rank closes the write end
};

/// The listening end, in local rank 0. Not thread-safe.
class HostSocket {
 public:
  /// Starts listening. Throws RunError if another process on the host already listens for a run with this name.
  explicit HostSocket(const LocalRanks& ranks);

  /// Readable when a rank sends a request; -1 once all ranks have.
  int descriptor() const { return listener_.get(); }
  /// Returns the next request, if any; does not wait. Drops an incomplete request with a warning; its rank sees its
  /// socket closed.
  std::optional<ZygoteRequest> next();
  void close() { listener_.reset(); }

 private:
  UniqueFd listener_;
  int to_come_;
};

/// Sends a request as `ranks.rank`. Waits until local rank 0 listens, but not for its answer. Throws RunError if it
/// does not listen within `ranks.timeout_seconds`, or belongs to another user.
void request_zygote(const LocalRanks& ranks, int workers, int socket, int ready, int lifeline);

}  // namespace trainyard
