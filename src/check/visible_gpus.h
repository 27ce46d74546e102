/// Lists the GPUs that CUDA shows, for a process that must not use CUDA yet.
#pragma once

#include <optional>
#include <vector>

#include "check/facts.h"
#include "check/forked_process.h"

namespace trainyard {

struct VisibleGpus {
  std::vector<DeviceFacts> gpus;          ///< with index, name and error only
  std::optional<ProcessFailure> failure;  ///< why CUDA's driver could not be asked; then there are no `gpus`
};

/// The GPUs that CUDA counts in a forked child. A driver that crashes or does not answer within a minute is a failure,
/// to be passed on in CheckOptions::driver_failure. Takes milliseconds on a machine without a driver. REQUIRES that
/// this process has one thread and has not used CUDA. Throws RunError if no descriptors are left.
VisibleGpus visible_gpus();

}  // namespace trainyard
