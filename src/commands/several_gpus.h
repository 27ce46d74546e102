/// Runs a command that trains, `train` or `bench step`, on a host with several GPUs: one process per GPU.
#pragma once

#include <optional>

#include "check/forked_process.h"
#include "config/config.h"

namespace trainyard {

struct SeveralGpus {
  std::optional<int> exit_code{};                  ///< of the processes that have trained; nothing: this one trains
  std::optional<ProcessFailure> driver_failure{};  ///< why the GPUs cannot be counted, for CheckOptions
};

/// If `train.device` selects two or more GPUs, trains in one process per GPU (distributed/launch.h); names the GPUs
/// first if it `prints`. Otherwise has no side effects, and this process trains. REQUIRES that no launcher has started
/// this process, that it has one thread and that it has not used CUDA. Throws MachineError if CUDA does not open a
/// listed GPU, and like launch().
SeveralGpus run_on_several_gpus(const Config& config, bool prints = true);

}  // namespace trainyard
