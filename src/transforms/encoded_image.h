/// An image that a worker leaves to the GPU to decode (transform.decode = gpu).
///
/// In a batch, such an image takes Field::encoded_bytes: an EncodedImage, and from encoded_image_start on the JPEG
/// file; or, for what the GPU cannot decode, the finished pixels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "datasets/field.h"
#include "images/jpeg_layout.h"
#include "transforms/lazy_image.h"

namespace trainyard {

/// Who decodes an image, and why a worker did.
enum class DecodedBy : std::uint8_t {
  gpu,
  worker_other,      ///< not a JPEG, but e.g. a PNG or pixels
  worker_kind,       ///< a JPEG that the GPU does not decode: progressive, CMYK, unusual sampling
  worker_size,       ///< the file is too large for its place in the batch
  worker_transform,  ///< the transforms scale the image twice
  trainer,           ///< the GPU's decoder refused the file
};
inline constexpr std::size_t decoders = 6;

/// What remains to be done with the file that follows it.
struct EncodedImage {
  DecodedBy decoded_by = DecodedBy::worker_other;
  bool mirrored = false;         ///< flip the result horizontally
  std::uint64_t file_bytes = 0;  ///< for the GPU
  JpegLayout layout;             ///< for the GPU
  Framing framing;               ///< for the GPU; the size of its window is that of the result
};

/// Where the file or the pixels begin. A multiple of 64, so that they are aligned.
inline constexpr std::size_t encoded_image_start = 128;
static_assert(sizeof(EncodedImage) <= encoded_image_start && std::is_trivially_copyable_v<EncodedImage>);

/// Writes the header of an image. The rest of `place` is written by the caller.
inline void write_header(const EncodedImage& header, std::span<std::byte> place) {
  std::memcpy(place.data(), &header, sizeof header);
}
inline EncodedImage read_header(std::span<const std::byte> place) {
  EncodedImage header;
  std::memcpy(&header, place.data(), sizeof header);
  return header;
}

/// Decodes and frames the file on the CPU: the pixels that the GPU has to produce. `channels`: 1 or 3; `out` has space
/// for the window. Throws RunError if the file is damaged.
void decode_on_cpu(const EncodedImage& header, std::span<const std::byte> file, std::size_t channels, std::byte* out);

}  // namespace trainyard
