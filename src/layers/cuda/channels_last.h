/// What LibTorch's tensors are to kernels of our own.
#pragma once

#include "layers/cuda/activations.h"
#include "util/torch.h"

namespace trainyard {

/// Whether the kernels can take `activations` as they lie there: float32, float16 or bfloat16 on a GPU, N × channels ×
/// height × width, not empty, in channels-last memory format, beginning at a multiple of 16 bytes, of which each pixel
/// fills some.
bool takes_kernels(const at::Tensor& activations);

/// The same numbers so that takes_kernels(), copied if need be. REQUIRES that type and channels allow it.
at::Tensor for_kernels(const at::Tensor& activations);

/// REQUIRES takes_kernels(activations).
Activations shape_of(const at::Tensor& activations);

}  // namespace trainyard
