/// loader.cache = shm: every sample is read and decoded once, by whichever worker needs it first, and from then on
/// copied from shared memory.
#pragma once

#include <memory>
#include <string>

#include "datasets/dataset.h"

namespace trainyard {

/// `dataset` with a cache of all its samples in an unnamed file in `directory`, which processes forked from this one
/// share; all of it is reserved here. Transforms come after it, so augmentation is not frozen. A sample that cannot be
/// read is not remembered. A process that dies while it stores a sample costs no more than that this sample is read
/// from the dataset every time.
/// Of an ImageDataset the whole pictures are kept, decoded; what they need is found out by opening each of them here.
/// Throws MachineError with the bytes needed, the bytes there and what to do, where they do not fit.
std::unique_ptr<Dataset> cached_in_shared_memory(std::unique_ptr<Dataset> dataset, const std::string& directory);

}  // namespace trainyard
