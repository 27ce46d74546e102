/// Lists the GPUs that CUDA shows, for a process that must not use CUDA yet.
#pragma once

#include <vector>

#include "check/facts.h"

namespace trainyard {

/// The GPUs that CUDA counts in a forked child, with index, name and error only. Empty if there is none, if the driver
/// crashes or does not answer within a minute (the check, which runs later, reports why), or, with a warning, if no
/// child can be forked. Takes milliseconds on a machine without a driver. REQUIRES that this process has one thread and
/// has not used CUDA. Throws RunError if no descriptors are left.
std::vector<DeviceFacts> visible_gpus();

}  // namespace trainyard
