/// Returns the precision whose autocast computes in a given type.
#pragma once

#include "config/choices.h"
#include "util/torch.h"

namespace trainyard {

inline Precision precision_of(at::ScalarType type) {
  return type == at::kHalf ? Precision::fp16 : type == at::kBFloat16 ? Precision::bf16 : Precision::fp32;
}

}  // namespace trainyard
