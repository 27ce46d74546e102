/// Finds out before the training whether its checkpoints can be saved.
#pragma once

#include <cstdint>
#include <filesystem>

#include "checkpoint/checkpoint.h"
#include "config/config.h"

namespace trainyard {

/// What a run's checkpoints take, in bytes.
struct SavingProof {
  std::uint64_t checkpoint = 0;  ///< one of them
  std::uint64_t at_once = 0;     ///< all that lie there at the same time, at most
  std::uint64_t free = 0;        ///< on the file system, now
};

/// Saves a small checkpoint like `contents` in a scratch folder on the file system of a run's folder `checkpoints`, as
/// the run would, replaces it by another, reads it back, and reserves the files of the real size. All that was made is
/// removed again; `checkpoints` need not exist. `saves`: how many checkpoints the run writes in all.
///
/// Throws MachineError if the file system has too little space, with the bytes needed and free, and RunError with the
/// cause and a remedy for anything else that would keep the run from saving.
SavingProof prove_saving(const std::filesystem::path& checkpoints, const Checkpoint& contents,
                         const CheckpointConfig& config, std::int64_t saves);

}  // namespace trainyard
