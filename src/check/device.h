/// Resolves `train.device` to the devices to train on.
#pragma once

#include <string>
#include <vector>

#include "check/diagnose.h"
#include "check/facts.h"

namespace trainyard {

/// cpu, or one GPU.
struct Device {
  bool cuda = false;
  int index = 0;  ///< of the GPU

  std::string name() const { return cuda ? "cuda:" + std::to_string(index) : "cpu"; }
  bool operator==(const Device&) const = default;
};

/// Throws UsageError unless `text` is auto, cpu, cuda, cuda:N with N from 0 to 1023, or a list, e.g. cuda:0,2.
void check_device_name(const std::string& text);

/// The GPUs that a run on `device` (train.device) uses, one per process, as N of cuda:N. For a list, its GPUs in its
/// order; for auto and cuda, all `visible` GPUs without an error that have the name of the first such one. Empty for
/// cpu, and if a listed GPU is not visible.
std::vector<int> selected_gpus(const std::string& device, const std::vector<DeviceFacts>& visible);

/// What one of several processes on this host requires: `needs` with the device "cuda:N" of its local rank. Unchanged
/// if there is only one process, or if it trains on the CPU. Throws MachineError with both numbers if there are more
/// processes than selected GPUs.
Needs needs_of_local_rank(Needs needs, const std::vector<DeviceFacts>& visible);

/// The device for one process with `needs.device`: for "auto" the first usable GPU, else the CPU; for "cuda" the first
/// usable GPU; for a list its first usable GPU in CUDA's order; for "cuda:N" that GPU. Throws UsageError for any other
/// text, and MachineError with the cause and the remedy if the requested GPU is not usable.
Device resolve_device(const Needs& needs, const Facts& facts);

}  // namespace trainyard
