/// Runs a command that trains, `train` or `bench step`, on a host with several GPUs: one process per GPU.
#pragma once

#include <optional>

#include "config/config.h"

namespace trainyard {

/// If `train.device` selects two or more GPUs, trains in one process per GPU (distributed/launch.h) and returns the
/// exit code; names the GPUs first if it `prints`. Otherwise returns nothing, without side effects, and this process
/// trains. REQUIRES that no launcher has started this process, that it has one thread and that it has not used CUDA.
/// Throws MachineError if CUDA does not open a listed GPU, and like launch().
std::optional<int> run_on_several_gpus(const Config& config, bool prints = true);

}  // namespace trainyard
