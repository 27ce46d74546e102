/// Reads from the environment, as set by a launcher, which of a run's processes this one is.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace trainyard {

/// Uses PyTorch's terms. A process that no launcher has started is rank 0 of 1.
struct Rank {
  int rank = 0;  ///< from 0 to world_size - 1
  int world_size = 1;
  int local_rank = 0;  ///< among the ranks of its host
  int local_world_size = 1;
  int node = 0;              ///< index of its torchrun; a host may run several
  std::string address;       ///< of the host with the store; empty: there is only one process
  int port = 0;              ///< of the store
  bool hosts_store = false;  ///< this process must open the store at `port`; otherwise another rank or torchrun does
  int restarts = 0;          ///< how often the ranks have been restarted
  std::string launcher{};    ///< torchrun, Slurm, Open MPI; empty: none

  bool alone() const { return world_size == 1; }
  /// Whether this rank writes the run's files and prints.
  bool is_first() const { return rank == 0; }
  /// This rank's share of `total` units of a resource of its host, e.g. 2, 2 and 1 if `total` is 5 on three ranks.
  int share_of(int total) const { return total / local_world_size + (local_rank < total % local_world_size ? 1 : 0); }
};

/// Returns an environment variable; empty if it is not set.
using Environment = std::function<std::optional<std::string>(const char* name)>;

/// Reads the variables of, in this order, torchrun (RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR,
/// MASTER_PORT, TORCHELASTIC_*), srun (SLURM_PROCID, SLURM_LOCALID, SLURM_STEP_NUM_TASKS, SLURM_STEP_TASKS_PER_NODE,
/// SLURM_STEP_NODELIST; a batch script without srun lacks some of them and is a single process) and Open MPI
/// (OMPI_COMM_WORLD_*). For the last two, MASTER_ADDR and MASTER_PORT are used if set. Throws UsageError if values
/// contradict each other, and if the address is unknown.
Rank rank_of(const Environment& environment);

/// rank_of() with the environment of this process.
Rank rank_of_process();

/// The result of gethostname(). Throws RunError.
std::string host_name();

}  // namespace trainyard
