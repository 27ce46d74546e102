#include "tasks/sample_image.h"

#include <cstring>

namespace trainyard {

Image sample_image(const DeviceField& images, std::int64_t i) {
  const auto row = [i](const at::Tensor& rows) { return rows.defined() ? rows.narrow(0, i, 1) : rows; };
  const Selection& all = images.selection;
  const at::Tensor data = all.indices.defined() ? images.data : images.data.narrow(0, i, 1);
  at::Tensor pixels = selected(data, {.indices = row(all.indices), .mirrored = row(all.mirrored)})[0].cpu();
  if (pixels.size(2) != 3) pixels = pixels.narrow(2, 0, 1);
  if (pixels.is_floating_point()) pixels = (pixels.nan_to_num(0).clamp(0, 1) * 255).round().to(at::kByte);
  pixels = pixels.contiguous();
  Image image{static_cast<std::size_t>(pixels.size(0)), static_cast<std::size_t>(pixels.size(1)),
              static_cast<std::size_t>(pixels.size(2)), std::vector<std::byte>(pixels.nbytes())};
  std::memcpy(image.pixels.data(), pixels.const_data_ptr(), image.pixels.size());
  return image;
}

}  // namespace trainyard
