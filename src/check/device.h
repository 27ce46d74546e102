/// From `train.device` to the device that is trained on.
#pragma once

#include <string>

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

/// Throws UsageError unless `text` is auto, cpu, cuda or cuda:N with N from 0 to 1023.
void check_device_name(const std::string& text);

/// The device for `needs.device`: "auto" is the first usable GPU, else the CPU; "cuda" is the first usable GPU;
/// "cuda:N" is that one. Throws UsageError for another text, MachineError with the cause and the remedy where the GPU
/// asked for is not usable.
Device resolve_device(const Needs& needs, const Facts& facts);

}  // namespace trainyard
