/// What the commands that compute have in common: the machine is looked at, a device is chosen, torch is set up for it.
#pragma once

#include "check/check.h"
#include "config/config.h"
#include "util/torch.h"

namespace trainyard {

/// What a run with this configuration asks of the machine. Shared memory is left out: the loader reserves it itself.
Needs needs_of(const Config& config);

/// Resolves `train.device` against the facts, sets threads and arithmetic, returns the device. Throws MachineError with
/// the cause and the remedy where the device asked for cannot be used.
at::Device prepare_device(const Config& config, const CheckResult& check);

}  // namespace trainyard
