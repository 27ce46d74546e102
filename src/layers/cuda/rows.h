/// What LibTorch's tensors are to kernels of our own that take them row by row, a row for each place of all dimensions
/// but the last.
#pragma once

#include <optional>

#include "layers/cuda/activations.h"
#include "util/torch.h"

namespace trainyard {

/// Nothing for types that the kernels do not know.
std::optional<Element> element_of(at::ScalarType type);

/// Whether a thread can read the tensor's first 16 bytes at once.
bool begins_at_a_vector(const at::Tensor& tensor);

/// The same numbers row after row, from a multiple of 16 bytes on, copied if need be.
at::Tensor rows_of(const at::Tensor& tensor);

/// Whether rows_of(tensor) are Activations: float32, float16 or bfloat16 on a GPU, not empty, in rows that vectors of
/// 16 bytes fill.
bool has_rows(const at::Tensor& tensor);

/// REQUIRES has_rows(tensor).
Activations shape_of_rows(const at::Tensor& tensor);

}  // namespace trainyard
