/// Which of the processes of a run this one is, as its launcher says in the environment.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace trainyard {

/// In PyTorch's words. A process that was started by no launcher is rank 0 of 1.
struct Rank {
  int rank = 0;  ///< from 0 to world_size - 1
  int world_size = 1;
  int local_rank = 0;  ///< among the ranks of its host
  int local_world_size = 1;
  int node = 0;              ///< number of its torchrun, of which a host may have several
  std::string address;       ///< of the host with the store; empty: there is one process only
  int port = 0;              ///< of the store
  bool hosts_store = false;  ///< this process has to open the store at `port`; the others, and rank 0 of torchrun's,
                             ///< find it there
  int restarts = 0;          ///< how often torchrun has started the ranks again
  std::string launcher{};    ///< torchrun, Slurm, Open MPI; empty: none

  bool alone() const { return world_size == 1; }
  /// Whether it writes the run's files and prints.
  bool is_first() const { return rank == 0; }
  /// What part of something that the host has belongs to this rank, if it is dealt out one by one: `total` = 5 on three
  /// ranks is 2, 2, 1.
  int share_of(int total) const { return total / local_world_size + (local_rank < total % local_world_size ? 1 : 0); }
};

/// A variable of the environment; nothing if it is not set.
using Environment = std::function<std::optional<std::string>(const char* name)>;

/// Reads, in this order, what torchrun sets (RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT,
/// TORCHELASTIC_*), srun (SLURM_PROCID, SLURM_LOCALID, SLURM_STEP_NUM_TASKS, SLURM_STEP_TASKS_PER_NODE,
/// SLURM_STEP_NODELIST; a batch script without srun has not all of them and is one process) and Open MPI
/// (OMPI_COMM_WORLD_*). For the last two MASTER_ADDR and MASTER_PORT, where set, count as well. Throws UsageError for
/// values that contradict one another, and where the address is not known.
Rank rank_of(const Environment& environment);

/// That of this process.
Rank rank_of_process();

/// As gethostname() has it. Throws RunError.
std::string host_name();

}  // namespace trainyard
