/// Converts tensors to arguments of kernels that work on rows: the last dimension is the row, all others are flattened.
#pragma once

#include <optional>

#include "layers/cuda/activations.h"
#include "util/torch.h"

namespace trainyard {

/// Empty for types that the kernels do not support.
std::optional<Element> element_of(at::ScalarType type);

/// Whether the data is aligned to 16 bytes.
bool begins_at_a_vector(const at::Tensor& tensor);

/// The same values, contiguous and aligned to 16 bytes, copied if necessary.
at::Tensor rows_of(const at::Tensor& tensor);

/// Whether rows_of(tensor) is a valid Activations: float32, float16 or bfloat16 on a GPU, not empty, each row a
/// multiple of 16 bytes.
bool has_rows(const at::Tensor& tensor);

/// REQUIRES has_rows(tensor).
Activations shape_of_rows(const at::Tensor& tensor);

}  // namespace trainyard
