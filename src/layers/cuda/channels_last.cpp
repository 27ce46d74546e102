#include "layers/cuda/channels_last.h"

#include "layers/cuda/rows.h"

namespace trainyard {

bool takes_kernels(const at::Tensor& activations) {
  return activations.is_cuda() && element_of(activations.scalar_type()) && activations.dim() == 4 &&
         activations.numel() > 0 && activations.is_contiguous(at::MemoryFormat::ChannelsLast) &&
         activations.size(1) * activations.element_size() % 16 == 0 && begins_at_a_vector(activations);
}

at::Tensor for_kernels(const at::Tensor& activations) {
  const at::Tensor dense = activations.contiguous(at::MemoryFormat::ChannelsLast);
  return takes_kernels(dense) ? dense : dense.clone(at::MemoryFormat::ChannelsLast);
}

Activations shape_of(const at::Tensor& activations) {
  return {.rows = activations.numel() / activations.size(1),
          .C = static_cast<std::uint32_t>(activations.size(1)),
          .element = *element_of(activations.scalar_type())};
}

}  // namespace trainyard
