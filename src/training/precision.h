/// The arithmetic of a step: `train.precision`.
#pragma once

#include "config/choices.h"
#include "util/torch.h"

namespace trainyard {

/// Sets how float32 products are computed on the GPU for the whole process: all but fp32 allow TensorFloat-32
/// (PyTorch's own default would allow it in convolutions).
void set_float32_arithmetic(Precision precision);

/// Makes operations give the same bits in every run on a GPU, or throw where PyTorch has none that does; slower. The
/// CPU needs nothing. As torch.use_deterministic_algorithms(True) with CUBLAS_WORKSPACE_CONFIG set; to be called before
/// the first product on a GPU.
void set_deterministic();

/// While one lives, operations run under autocast to bfloat16 where `precision` is bf16, to float16 where it is
/// fp16; otherwise it does nothing. Per thread; may nest. Equivalent to `with torch.autocast(device, dtype)`.
class Autocast {
 public:
  Autocast(Precision precision, at::DeviceType device);
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
