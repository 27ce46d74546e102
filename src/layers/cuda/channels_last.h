/// Converts channels-last tensors to arguments of kernels.
#pragma once

#include "layers/cuda/activations.h"
#include "util/torch.h"

namespace trainyard {

/// Whether the kernels can read `activations` in place: float32, float16 or bfloat16 on a GPU, N × C × height × width,
/// not empty, in channels-last memory format, aligned to 16 bytes, each pixel a multiple of 16 bytes.
bool takes_kernels(const at::Tensor& activations);

/// The same values in a layout that takes_kernels() accepts, copied if necessary. REQUIRES a supported type and C.
at::Tensor for_kernels(const at::Tensor& activations);

/// REQUIRES takes_kernels(activations).
Activations shape_of(const at::Tensor& activations);

}  // namespace trainyard
