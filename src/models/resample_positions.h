/// Position embeddings of a vision transformer for images of another size.
#pragma once

#include <cstdint>

#include "models/model.h"

namespace trainyard {

/// Patches of an image.
struct PatchGrid {
  std::int64_t rows;
  std::int64_t columns;
};

/// Resamples `given`, 1 × (1 + patches) × width, to the shape of `wanted`, 1 × (1 + rows · columns) × width: the first
/// position is the class token's and is kept, the others are those of a square grid, row by row. The numbers are those
/// of timm's resample_abs_pos_embed (timm/layers/pos_embed.py): bicubic, with an antialiasing filter if the grid
/// shrinks. torchvision's interpolate_embeddings has no such filter, aligns the grids' corners and makes square grids
/// only. The result is float32. If `given` does not have that shape, the note says what to do.
Adapted resample_positions(const at::Tensor& given, const at::Tensor& wanted, PatchGrid grid);

}  // namespace trainyard
