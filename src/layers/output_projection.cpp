#include "layers/output_projection.h"

#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/linear.h>

#include "layers/autocast.h"

namespace trainyard {
namespace {

constexpr std::int64_t alignment = 64;  // elements: 128 bytes of a 16-bit type

}  // namespace

at::Tensor output_projection(const at::Tensor& x, const at::Tensor& weight) {
  const std::int64_t classes = weight.size(0);
  const std::int64_t padding = (alignment - classes % alignment) % alignment;
  if (!x.is_cuda() || padding == 0) return at::linear(x, weight);
  // Padded after the conversion, not before it: half the bytes.
  const at::Tensor converted = weight.to(autocast_type(weight.scalar_type()));
  return at::linear(x, at::constant_pad_nd(converted, {0, 0, 0, padding})).narrow(-1, 0, classes);
}

}  // namespace trainyard
