/// JPEG and PNG files to pixels, the same pixels that Pillow's `Image.open(path).convert("RGB")` or `convert("L")`
/// gives.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "transforms/image.h"

namespace trainyard {

/// Decodes the bytes of a JPEG or PNG file (told by their content) to `channels` = 1 (grey) or 3 (RGB).
/// Alpha is dropped, CMYK is taken as Adobe's, EXIF orientation is not applied. 16-bit samples keep their high byte,
/// grey ones too (Pillow cuts those off at 255, which makes nearly all of them white). Throws RunError "image" that
/// names `path` for anything else, for a damaged or truncated file and for one of more than max_image_pixels. Safe to
/// call from many threads.
Image decode_image(std::span<const std::byte> file, std::size_t channels, const std::string& path);

/// The two decoders behind it: 1 channel where the file is grey, else 3.
Image decode_jpeg(std::span<const std::byte> file, const std::string& path);
Image decode_png(std::span<const std::byte> file, const std::string& path);

/// Throws RunError "image" where a picture of this size is refused. Called before memory is taken.
void check_image_size(std::size_t height, std::size_t width, const std::string& path);

}  // namespace trainyard
