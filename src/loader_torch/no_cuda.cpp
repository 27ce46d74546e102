#include "loader_torch/normalize.h"
#include "loader_torch/registered_memory.h"

namespace trainyard {

at::Tensor normalize_images(const at::Tensor& images, const at::Tensor& scale, const at::Tensor& shift,
                            const Selection& selection) {
  return normalize_by_operators(images, scale, shift, selection);
}

RegisteredMemory::RegisteredMemory(std::span<std::byte>) {}
RegisteredMemory::~RegisteredMemory() = default;

}  // namespace trainyard
