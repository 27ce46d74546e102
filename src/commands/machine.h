/// What the commands that compute have in common: the machine is looked at, a device is chosen, torch is set up for it,
/// and an error of the device is explained.
#pragma once

#include "check/check.h"
#include "config/config.h"
#include "distributed/rank.h"
#include "loader/split.h"
#include "util/torch.h"

namespace trainyard {

/// What a training run with this configuration, or this rank of it, asks of the machine. Shared memory is left out: the
/// loader reserves it itself.
Needs needs_of(const Config& config, const Rank& rank = {});

/// What every command that computes asks: the device and the precision.
Needs device_needs_of(const Config& config);

/// Resolves `train.device` against the facts, sets threads and arithmetic, returns the device. Throws MachineError with
/// the cause and the remedy where the check found an error. Where train.threads leaves it open, the local ranks
/// share the host's cores.
at::Device prepare_device(const Config& config, const CheckResult& check);

/// Throws where loader.cache = gpu and these splits cannot be kept on `device`: UsageError if the CPU was asked for,
/// MachineError if there is no GPU or too little free memory on it, with the bytes needed and free.
void require_room_for_cache(const Config& config, const std::vector<SplitInfo>& splits, at::Device device);

/// Throws the error of LibTorch that is being handled on: as a RunError with the cause, the remedy and the code of its
/// rule where it is an error of the device, unchanged where it is not.
[[noreturn]] void rethrow_explained(const CheckResult& check, at::Device device, const c10::Error& error);

/// Does `work`, which computes on `device`, with its errors explained.
template <typename Work>
auto with_explained_errors(const CheckResult& check, at::Device device, Work work) {
  try {
    return work();
  } catch (const c10::Error& error) {
    rethrow_explained(check, device, error);
  }
}

}  // namespace trainyard
