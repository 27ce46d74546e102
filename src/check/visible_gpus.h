/// Which GPUs CUDA shows, for a process that must not use CUDA yet.
#pragma once

#include <vector>

#include "check/facts.h"

namespace trainyard {

/// The GPUs that CUDA shows, with index and name alone, as a forked child finds them. Empty if there is none, if the
/// driver crashes or does not answer within a minute (the check, which comes later, says why), and if no child can be
/// forked. Takes milliseconds on a machine without a driver. REQUIRES that this process has one thread and has not used
/// CUDA. Throws RunError where there are no descriptors left.
std::vector<DeviceFacts> visible_gpus();

}  // namespace trainyard
