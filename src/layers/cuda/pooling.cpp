#include "layers/cuda/pooling.h"

#include <algorithm>
#include <limits>

#include "layers/cuda/channels_last.h"

namespace trainyard {

std::optional<Pooling> pooling_of(const at::Tensor& x, std::int64_t size, std::int64_t stride, std::int64_t padding) {
  if (size < 2 || size > 3 || stride < 1 || padding < 0 || padding > size / 2) return std::nullopt;
  if (!takes_kernels(x) || std::min(x.size(2), x.size(3)) + 2 * padding < size ||
      x.size(0) * (x.size(2) + 2) * (x.size(3) + 2) >= std::numeric_limits<std::int32_t>::max()) {
    return std::nullopt;
  }
  const auto number = [](std::int64_t value) { return static_cast<std::uint32_t>(value); };
  const auto windows = [&](std::int64_t along) { return number((along + 2 * padding - size) / stride + 1); };
  return Pooling{.images = number(x.size(0)),
                 .height = number(x.size(2)),
                 .width = number(x.size(3)),
                 .out_height = windows(x.size(2)),
                 .out_width = windows(x.size(3)),
                 .size = number(size),
                 .stride = number(stride),
                 .padding = number(padding),
                 .C = number(x.size(1)),
                 .element = shape_of(x).element};
}

}  // namespace trainyard
