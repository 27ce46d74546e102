/// The layout of activations that the kernels take.
#pragma once

#include <cstdint>

namespace trainyard {

enum class Element : std::uint8_t { float32, float16, bfloat16 };

/// A row-major matrix of rows × C in GPU memory, aligned to 16 bytes. Channels-last images have a row per pixel.
struct Activations {
  std::int64_t rows;
  std::uint32_t C;  ///< a multiple of the elements per 16 bytes
  Element element;
};

}  // namespace trainyard
