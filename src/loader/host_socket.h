/// How the ranks of a host share what datasets and caches hold in memory: the zygote of local rank 0 builds them and
/// listens on a socket; every other rank asks there for a zygote, which is forked from that one.
///
/// The socket is in the abstract namespace: it has no file and is gone with the process that listens. Both ends refuse
/// processes of other users, who could take the name first.
#pragma once

#include <cstdint>
#include <optional>

#include <sched.h>

#include "loader/pool_options.h"
#include "util/system.h"

namespace trainyard {

/// What a rank asks with. The descriptors become the zygote's.
struct ZygoteRequest {
  std::int32_t local_rank = 0;
  std::int32_t workers = 1;
  cpu_set_t cores{};  ///< that the rank may use
  UniqueFd socket;    ///< as run_zygote() has it
  UniqueFd ready;     ///< an eventfd
  UniqueFd lifeline;  ///< of a pipe; the zygote is killed when the rank closes the writing end
};

/// The end of local rank 0. For one thread.
class HostSocket {
 public:
  /// Listens from here on. Throws RunError if another process of the host does so for a run of this name.
  explicit HostSocket(const LocalRanks& ranks);

  /// Readable when a rank asks; -1 once all have asked.
  int descriptor() const { return listener_.get(); }
  /// The next rank that has asked; does not wait. A request that is not whole is dropped, with a warning, and
  /// its rank sees that its socket is closed.
  std::optional<ZygoteRequest> next();
  void close() { listener_.reset(); }

 private:
  UniqueFd listener_;
  int to_come_;
};

/// Asks as `ranks.rank`. Waits until local rank 0 listens, not until it answers. Throws RunError if it does not listen
/// within `ranks.timeout_seconds`, or is of another user.
void request_zygote(const LocalRanks& ranks, int workers, int socket, int ready, int lifeline);

}  // namespace trainyard
