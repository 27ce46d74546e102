/// From `train.device` to the devices that are trained on.
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

/// Throws UsageError unless `text` is auto, cpu, cuda, cuda:N with N from 0 to 1023, or a list as cuda:0,2.
void check_device_name(const std::string& text);

/// The GPUs that a run on `device` (train.device) uses, one per process, as N of cuda:N: those of a list in its order;
/// for auto and cuda, of the `visible` ones, all that have the name of the first. None for cpu, and if a listed one is
/// not visible.
std::vector<int> selected_gpus(const std::string& device, const std::vector<DeviceFacts>& visible);

/// What one of several processes of this host asks: `needs` with the device "cuda:N" of its local rank. Unchanged where
/// it is alone, and where it trains on the CPU. Throws MachineError with both numbers if there are more processes than
/// selected GPUs.
Needs needs_of_local_rank(Needs needs, const std::vector<DeviceFacts>& visible);

/// The device for one process with `needs.device`: "auto" is the first usable GPU, else the CPU; "cuda" is the first
/// usable GPU, and a list the first one of it, as CUDA counts, that is usable; "cuda:N" is that one. Throws UsageError
/// for another text, MachineError with the cause and the remedy where the GPU asked for is not usable.
Device resolve_device(const Needs& needs, const Facts& facts);

}  // namespace trainyard
