#include "models/resample_positions.h"

#include <cmath>

#include <fmt/format.h>

#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/cat.h>

namespace trainyard {

Adapted resample_positions(const at::Tensor& given, const at::Tensor& wanted, PatchGrid grid) {
  if (given.dim() != 3 || given.size(0) != 1 || given.size(1) < 2 || !given.is_floating_point()) return {};
  const std::int64_t width = given.size(2);
  if (width != wanted.size(2)) {
    return {.tensor = {}, .note = fmt::format("choose a model of width {} (trainyard list models)", width)};
  }
  const std::int64_t patches = given.size(1) - 1;
  const auto side = static_cast<std::int64_t>(std::lround(std::sqrt(static_cast<double>(patches))));
  if (side * side != patches) {
    return {.tensor = {},
            .note = fmt::format("its {} patches are no square, so their grid is unknown and cannot be resampled; train "
                                "with images of the size that the weights were trained with",
                                patches)};
  }
  const at::Tensor positions = given.to(at::kFloat);
  const at::Tensor map = positions.narrow(1, 1, patches).reshape({1, side, side, width}).permute({0, 3, 1, 2});
  const at::Tensor resampled = at::_upsample_bicubic2d_aa(map, {grid.rows, grid.columns}, /*align_corners=*/false);
  return {.tensor = at::cat({positions.narrow(1, 0, 1), resampled.flatten(2).transpose(1, 2)}, 1),
          .note = fmt::format("resampled from {}×{} patches to {}×{}", side, side, grid.rows, grid.columns)};
}

}  // namespace trainyard
