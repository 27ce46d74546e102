/// The arithmetic of a step: `train.precision`.
#pragma once

#include <string>

#include "util/torch.h"

namespace trainyard {

/// Sets how float32 products are computed on the GPU for the whole process: "tf32" and "bf16" allow TensorFloat-32,
/// "fp32" does not (PyTorch's own default would allow it in convolutions).
void set_float32_arithmetic(const std::string& precision);

/// While one lives, operations run under autocast to bfloat16 where `precision` is "bf16"; otherwise it does nothing.
/// Per thread; may nest. Equivalent to `with torch.autocast(device, torch.bfloat16)`.
class Autocast {
 public:
  Autocast(const std::string& precision, at::DeviceType device);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  bool active_;
  at::DeviceType device_;
  bool was_enabled_ = false;
  at::ScalarType previous_dtype_ = at::kFloat;
};

}  // namespace trainyard
