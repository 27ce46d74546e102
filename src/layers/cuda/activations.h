/// Activations as kernels of our own take them.
#pragma once

#include <cstdint>

namespace trainyard {

enum class Element : std::uint8_t { float32, float16, bfloat16 };

/// rows × channels in the GPU's memory, as channels last lays them out: a row for each pixel of each image. They begin
/// at a multiple of 16 bytes.
struct Activations {
  std::int64_t rows;
  std::uint32_t channels;  ///< a multiple of the elements in 16 bytes
  Element element;
};

}  // namespace trainyard
