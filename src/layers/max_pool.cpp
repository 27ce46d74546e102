#include "layers/max_pool.h"

#include <ATen/ops/max_pool2d.h>

#include "layers/fused.h"

namespace trainyard {

at::Tensor max_pool(const at::Tensor& x, std::int64_t size, std::int64_t stride, std::int64_t padding) {
  if (const std::optional<at::Tensor> fused = fused_max_pool(x, size, stride, padding)) return *fused;
  return at::max_pool2d(x, size, stride, padding);
}

}  // namespace trainyard
