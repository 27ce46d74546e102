/// Verifies before training that its checkpoints can be saved.
#pragma once

#include <cstdint>
#include <filesystem>

#include "checkpoint/checkpoint.h"
#include "config/config.h"

namespace trainyard {

/// The disk space that a run's checkpoints need, in bytes.
struct SavingProof {
  std::uint64_t checkpoint = 0;  ///< a single one
  std::uint64_t at_once = 0;     ///< the most that exist at the same time
  std::uint64_t free = 0;        ///< on the file system, at present
};

/// Saves a small checkpoint like `contents` in a scratch folder on the file system of a run's folder `checkpoints`, as
/// the run would, replaces it with another, reads it back, and reserves files of the real size. Removes everything it
/// has created; `checkpoints` need not exist. `saves`: the number of checkpoints that the run writes in total.
///
/// Throws MachineError if the file system has too little space, with the bytes needed and free, and RunError with the
/// cause and a remedy for anything else that would prevent the run from saving.
SavingProof prove_saving(const std::filesystem::path& checkpoints, const Checkpoint& contents,
                         const CheckpointConfig& config, std::int64_t saves);

}  // namespace trainyard
