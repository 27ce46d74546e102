#include "layers/resize.h"

#include <ATen/ops/matmul.h>
#include <ATen/ops/promote_types.h>
#include <c10/core/DispatchKeySet.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

namespace trainyard {
namespace {

// The interpolation matrix, out × in: row i has the weights of the input pixels in output pixel i. Beyond the border,
// the edge pixel is repeated.
at::Tensor weights(std::int64_t in, std::int64_t out, const at::Tensor& like) {
  const at::TensorOptions options = like.options().dtype(at::kDouble);
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const at::Tensor centers = ((at::arange(out, options) + 0.5) * scale - 0.5).clamp(0, static_cast<double>(in - 1));
  return (1 - (centers.unsqueeze(1) - at::arange(in, options)).abs()).clamp_min(0).to(like.scalar_type());
}

}  // namespace

at::Tensor resize_bilinear(const at::Tensor& x, std::int64_t height, std::int64_t width) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const at::Tensor map = x.to(at::promote_types(x.scalar_type(), at::kFloat));
  const at::Tensor rows = at::matmul(weights(map.size(2), height, map), map);
  return at::matmul(rows, weights(map.size(3), width, map).t());
}

}  // namespace trainyard
