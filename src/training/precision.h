/// Selects the arithmetic of a step: `train.precision` and `train.deterministic`.
#pragma once

#include "config/choices.h"
#include "util/torch.h"

namespace trainyard {

/// The type to which autocast converts the operands of products: bfloat16 or float16; float32 without autocast.
at::ScalarType product_type(Precision precision);

/// Sets how the whole process computes float32 products on the GPU: every precision except fp32 allows TensorFloat-32
/// (PyTorch's default would allow it in convolutions).
void set_float32_arithmetic(Precision precision);

/// Makes operations on a GPU bit-identical from run to run, or throw if PyTorch has no deterministic implementation;
/// slower. Not needed on the CPU. Equivalent to torch.use_deterministic_algorithms(True) with CUBLAS_WORKSPACE_CONFIG
/// set. Call it before the first matrix product on a GPU.
void set_deterministic();

/// During its lifetime, operations run under autocast to bfloat16 if `precision` is bf16, and to float16 if it is fp16;
/// otherwise it does nothing. Per thread; may nest. Equivalent to `with torch.autocast(device, dtype)`.
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
