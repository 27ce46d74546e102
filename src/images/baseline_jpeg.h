/// Recognizes the JPEG files that decoders other than libjpeg read here: one at a fraction of the size (scaled_jpeg.h),
/// and one on the GPU.
#pragma once

#include <cstdio>  // jpeglib.h needs FILE
#include <optional>

#include <jpeglib.h>

#include "images/jpeg_layout.h"

namespace trainyard {

/// Whether `jpeg`, of which only the header has been read, is baseline, 8 bits per sample, in a single scan, and grey
/// or YCbCr.
bool is_baseline(const jpeg_decompress_struct& jpeg);

/// Returns the table with this number, of the `count` that a file may have; nullptr if it is missing.
template <typename Table>
const Table* table_at(Table* const* tables, int number, int count) {
  return 0 <= number && number < count ? tables[number] : nullptr;
}

/// Returns the layout of a file of which only the header has been read; nullopt if it is another kind of JPEG, or if a
/// quantization or Huffman table is missing or damaged.
std::optional<JpegLayout> layout_of(const jpeg_decompress_struct& jpeg);

}  // namespace trainyard
