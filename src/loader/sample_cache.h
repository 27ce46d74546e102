/// Implements loader.cache = shm: each sample is read and decoded once, by the first worker that needs it, and copied
/// from shared memory from then on.
#pragma once

#include <memory>
#include <string>

#include "datasets/dataset.h"

namespace trainyard {

/// The file that holds a cache.
struct CachePlace {
  std::string directory;  ///< a tmpfs
  /// Empty: the file has no name and disappears with the processes forked from this one. Otherwise it persists until it
  /// is removed, and every process of this user that opens the same samples under this name shares it, at the same time
  /// or later.
  std::string name;
};

/// Returns `dataset` with a cache of all its samples, which processes forked from this one share; reserves all of its
/// memory. The cache comes before the transforms, so augmentation still varies. Failures to read a sample are not
/// cached. If a process dies while it stores a sample, that sample is read from the dataset every time. Images are
/// stored whole and decoded; this function opens each of them to compute their size. Throws MachineError with the bytes
/// needed, the bytes available and what to do if they do not fit; UsageError if the name is in use for other samples.
std::unique_ptr<Dataset> cached_in_shared_memory(std::unique_ptr<Dataset> dataset, const CachePlace& place);

}  // namespace trainyard
