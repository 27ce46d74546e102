/// loader.cache = shm: every sample is read and decoded once, by whichever worker needs it first, and from then on
/// copied from shared memory.
#pragma once

#include <memory>
#include <string>

#include "datasets/dataset.h"

namespace trainyard {

/// The file that a cache is.
struct CachePlace {
  std::string directory;  ///< a tmpfs
  /// Empty: none, it is gone with the processes forked from this one. Otherwise it stays there until it is removed, and
  /// every process of this user that opens the same samples under this name shares it, at the same time or later.
  std::string name;
};

/// `dataset` with a cache of all its samples, which processes forked from this one share; all of it is reserved here.
/// Transforms come after it, so augmentation is not frozen. A sample that cannot be read is not remembered. A process
/// that dies while it stores a sample costs no more than that this sample is read from the dataset every time. Of
/// fields that are pictures the whole pictures are kept, decoded; what they need is found out by opening each of them
/// here. Throws MachineError with the bytes needed, the bytes there and what to do, where they do not fit; UsageError
/// where other samples lie under that name.
std::unique_ptr<Dataset> cached_in_shared_memory(std::unique_ptr<Dataset> dataset, const CachePlace& place);

}  // namespace trainyard
