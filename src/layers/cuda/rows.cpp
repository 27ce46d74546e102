#include "layers/cuda/rows.h"

#include <cstdint>

namespace trainyard {

std::optional<Element> element_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return Element::float32;
    case at::kHalf:
      return Element::float16;
    case at::kBFloat16:
      return Element::bfloat16;
    default:
      return std::nullopt;
  }
}

bool begins_at_a_vector(const at::Tensor& tensor) {
  return reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr()) % 16 == 0;
}

at::Tensor rows_of(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  return begins_at_a_vector(dense) ? dense : dense.clone();
}

bool has_rows(const at::Tensor& tensor) {
  return tensor.is_cuda() && element_of(tensor.scalar_type()) && tensor.dim() > 0 && tensor.numel() > 0 &&
         tensor.size(-1) * tensor.element_size() % 16 == 0;
}

Activations shape_of_rows(const at::Tensor& tensor) {
  return {.rows = tensor.numel() / tensor.size(-1),
          .C = static_cast<std::uint32_t>(tensor.size(-1)),
          .element = *element_of(tensor.scalar_type())};
}

}  // namespace trainyard
