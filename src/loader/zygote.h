/// The process between the trainer and its workers. It builds the datasets once and forks the workers from itself, so
/// that they share the datasets by copy-on-write and inherit none of the trainer's GPU state, threads and files.
///
///     trainer ──fork──▶ zygote ──fork──▶ worker 1 … n
///        ▲  socket: datasets, arena, deaths  │
///        └───────────────────────────────────┘
///
/// No process is left behind: the kernel kills the zygote with the trainer and the workers with the zygote
/// (PR_SET_PDEATHSIG); should that fail, the zygote sees its socket closed and the workers see their parent change.
///
/// With several ranks on a host (PoolOptions::local_ranks) the zygote of local rank 0 forks those of the other ranks,
/// so that all share its datasets by copy-on-write. From then on each depends only on its own trainer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "loader/arena.h"
#include "loader/pool_options.h"
#include "loader/split.h"
#include "util/process_end.h"
#include "util/system.h"

namespace trainyard {

/// The slots that the trainer holds: one in the step and one being copied.
constexpr std::uint32_t slots_of_trainer = 2;

/// Computes the shape of the arena. Its slots are the trainer's and those of the batches ahead: `prefetch`, or more if
/// a batch has so few samples that workers would idle otherwise.
ArenaShape arena_shape(const PoolOptions& options, const std::vector<SplitInfo>& splits);

/// The end of a worker, as the zygote saw it.
struct WorkerExit {
  std::uint32_t worker;
  std::int32_t pid;         ///< already waited for; -1: the fork failed
  std::int32_t status;      ///< as from waitpid
  std::int32_t fork_error;  ///< errno of the fork that failed
};

/// A request of the trainer to the zygote.
struct ZygoteCommand {
  enum class Kind : std::uint32_t { kill_worker, fork_worker, reserve_slots };
  Kind kind;
  std::uint32_t worker = 0;
  std::int32_t pid = 0;  ///< for kill_worker, which does nothing if the worker is another process by now
};

/// The trainer's handle to the zygote. The destructor ends all of its processes and waits until they have ended.
class Zygote {
 public:
  /// Forks, and waits until the datasets are built and the workers run. Rethrows what the factory throws as the same
  /// kind of Error, and anything else as a RunError. REQUIRES that the calling thread is the process's only one (the
  /// workers end with that thread) and that CUDA has not been used. The factory runs in the zygote, where only
  /// descriptors 0, 1 and 2 of the caller are open. If this is not local rank 0, nothing is forked here and the factory
  /// is not called: throws what local rank 0's factory threw, SecondaryError if that process was lost, RunError if it
  /// does not start in time.
  Zygote(const PoolOptions& options, const DatasetFactory& factory);
  ~Zygote();
  Zygote(const Zygote&) = delete;
  Zygote& operator=(const Zygote&) = delete;

  pid_t pid() const { return pid_; }
  const Arena& arena() const { return *arena_; }
  const std::vector<SplitInfo>& splits() const { return splits_; }

  /// Blocks until a worker has settled a batch, a slot has been reserved, a process has ended, or `milliseconds` have
  /// passed. May return early.
  void wait(int milliseconds);
  /// Returns the next worker that ended, if any; does not block. Throws RunError if the zygote itself has ended.
  std::optional<WorkerExit> next_exit();
  /// Kills a worker, even a stopped one; next_exit() returns it once it has ended. Throws like next_exit().
  void kill_worker(std::uint32_t worker, pid_t pid);
  /// Forks a replacement for a worker that has ended.
  void fork_worker(std::uint32_t worker);
  /// Reserves all slots to come, one after the other; wait() returns for each.
  void reserve_slots();
  /// Describes how a process ended: "was killed by signal 11 (Segmentation fault)", "exited with code 3". Mentions the
  /// out-of-memory killer if SIGKILL was likely its work: the kernel has counted a kill since the previous call.
  std::string describe_end(int wait_status);

 private:
  [[noreturn]] void throw_zygote_ended();
  void send_command(const ZygoteCommand& command);
  void take_hello();
  void end() noexcept;

  pid_t pid_ = -1;
  ProcessEnds ends_;
  UniqueFd socket_;
  UniqueFd ready_;     ///< an eventfd
  UniqueFd lifeline_;  ///< of a zygote forked by local rank 0; closing it kills the zygote
  std::optional<Arena> arena_;
  std::vector<SplitInfo> splits_;
};

}  // namespace trainyard
