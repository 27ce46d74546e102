/// `trainyard train` on a host with several GPUs: a process for each.
#pragma once

#include <optional>

#include "config/config.h"

namespace trainyard {

/// Trains in a process for each GPU that `train.device` means and returns what to exit with, if these are two or more
/// (distributed/launch.h). Otherwise returns nothing, without side effects: this process trains. REQUIRES that no
/// launcher has started this process, that it has one thread and that it has not used CUDA. Throws as launch().
std::optional<int> train_on_several_gpus(const Config& config);

}  // namespace trainyard
