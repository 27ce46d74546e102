#include "transforms/encoded_image.h"

#include <memory>

#include "images/decode_image.h"
#include "transforms/mirror.h"

namespace trainyard {

void decode_on_cpu(const EncodedImage& header, std::span<const std::byte> file, std::size_t channels, std::byte* out) {
  // The worker has checked the number of pixels.
  const ImageOptions options{.upright = header.layout.orientation != 1};
  const std::unique_ptr<ImageReader> reader = ImageReader::open(file, "an image that the GPU did not decode", options);
  LazyImage::Memory memory;
  LazyImage image(*reader, {.channels = channels}, memory);
  const auto& [region, scaled, filter, window] = header.framing;
  image.frame({region, scaled, filter});
  image.frame({window, window.size(), filter});
  image.write_to(out);
  if (header.mirrored) mirror({out, window.height, window.width, channels});
}

}  // namespace trainyard
