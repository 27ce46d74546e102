/// Sets up the machine for commands that compute: runs the check, selects a device, configures LibTorch for it, and
/// explains device errors.
#pragma once

#include "check/check.h"
#include "config/config.h"
#include "distributed/rank.h"
#include "loader/split.h"
#include "util/torch.h"

namespace trainyard {

/// What a training run with this configuration, or this rank of it, requires from the machine. Shared memory is left
/// out, because the loader reserves it itself.
Needs needs_of(const Config& config, const Rank& rank = {});

/// What every command that computes requires: the device of this rank and the precision.
Needs device_needs_of(const Config& config, const Rank& rank = {});

/// Resolves `train.device` against the facts, configures threads and numerics, returns the device. Throws MachineError
/// with the cause and the remedy if the check found an error. Unless train.threads is set, the local ranks share the
/// host's cores.
at::Device prepare_device(const Config& config, const CheckResult& check);

/// Throws if loader.cache = gpu and these splits cannot be kept on `device`, or on the GPUs of this host's ranks
/// together: UsageError if the CPU was requested, MachineError, with the bytes needed and free, if there is no GPU or
/// too little free memory on it.
void require_room_for_cache(const Config& config, const std::vector<SplitInfo>& splits, at::Device device,
                            const Rank& rank = {});

/// Rethrows the LibTorch error that is being handled: if it is an error of the device, as a RunError with the cause,
/// the remedy and the code of its rule; otherwise unchanged.
[[noreturn]] void rethrow_explained(const CheckResult& check, at::Device device, const c10::Error& error);

/// Runs `work`, which computes on `device`, and explains its errors.
template <typename Work>
auto with_explained_errors(const CheckResult& check, at::Device device, Work work) {
  try {
    return work();
  } catch (const c10::Error& error) {
    rethrow_explained(check, device, error);
  }
}

}  // namespace trainyard
