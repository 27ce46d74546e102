#include "training/precision.h"

#include <cstdlib>

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

namespace trainyard {

at::ScalarType product_type(Precision precision) {
  if (precision == Precision::bf16) return at::kBFloat16;
  return precision == Precision::fp16 ? at::kHalf : at::kFloat;
}

void set_float32_arithmetic(Precision precision) {
  const bool allow_tf32 = precision != Precision::fp32;
  at::globalContext().setAllowTF32CuBLAS(allow_tf32);
  at::globalContext().setAllowTF32CuDNN(allow_tf32);
}

void set_deterministic() {
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);  // read when cuBLAS is initialized
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);  // a debugging aid that costs an extra pass
  at::globalContext().setDeterministicCuDNN(true);
}

Autocast::Autocast(Precision precision, at::DeviceType device)
    : active_(product_type(precision) != at::kFloat), device_(device) {
  if (!active_) return;
  was_enabled_ = at::autocast::is_autocast_enabled(device_);
  previous_dtype_ = at::autocast::get_autocast_dtype(device_);
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::set_autocast_dtype(device_, product_type(precision));
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (!active_) return;
  // Autocast caches casts of the weights, which become stale when the optimizer updates the weights.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, was_enabled_);
  at::autocast::set_autocast_dtype(device_, previous_dtype_);
}

}  // namespace trainyard
