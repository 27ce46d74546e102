/// Resizing pictures, with the pixels of Pillow's `image.resize(size, BILINEAR or BICUBIC)`, which is what
/// torchvision's resize does with a picture of Pillow's. A filter as wide as the scale down asks for, along rows and
/// along columns, each rounded to 8 bits; along rows first, unless the height shrinks by more than twice as many pixels
/// as the width (so since Pillow 13). Algorithm and 22-bit fixed-point weights: Pillow, src/libImaging/Resample.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "images/image.h"

namespace trainyard {

enum class Filter : std::uint8_t { bilinear, bicubic };

/// Weights are whole numbers, of which 1 << weight_bits is 1: 8 bits of a pixel and a sign leave that many of 32, with
/// one to spare.
inline constexpr int weight_bits = 22;

/// The weights of two neighbours, each high × 256 + low. What multiplies 16-bit numbers can take them in one go.
struct WeightPair {
  std::int16_t high[2];
  std::int16_t low[2];
};

/// Resizing along one axis: which inputs each output is made of, with what weights.
class ResampleAxis {
 public:
  /// The inputs between `begin` and `end` (in pixels from the edge, with fractions; begin < end) become `size` outputs,
  /// of which `count` are wanted, from number `first` on. Inputs beyond begin and end are not looked at.
  ResampleAxis(double begin, double end, std::size_t size, std::size_t first, std::size_t count, Filter filter);

  /// The inputs that are read: the first, and how many.
  std::size_t source_begin() const { return source_begin_; }
  std::size_t source_count() const { return source_count_; }
  /// Outputs.
  std::size_t count() const { return windows_.size(); }
  /// By how many pixels the whole axis becomes shorter; under 0 where it becomes longer.
  std::ptrdiff_t shrinks_by() const { return shrinks_by_; }
  /// Whether each output is just the input of the same number.
  bool copies() const { return copies_; }

  struct Window {
    std::uint32_t first;    ///< input of the first weight, from source_begin() on
    std::uint32_t count;    ///< inputs
    std::uint32_t weights;  ///< place of the first weight
  };
  const std::vector<Window>& windows() const { return windows_; }
  /// The weights of its inputs.
  const std::int32_t* weights(const Window& window) const { return weights_.data() + window.weights; }
  /// The same in pairs, the last one with a 0 where their number is odd.
  const WeightPair* weight_pairs(const Window& window) const { return pairs_.data() + window.weights / 2; }

 private:
  std::size_t source_begin_ = 0;
  std::size_t source_count_ = 0;
  std::ptrdiff_t shrinks_by_ = 0;
  bool copies_ = false;
  std::vector<Window> windows_;
  std::vector<std::int32_t> weights_;
  std::vector<WeightPair> pairs_;
};

/// Writes rows.count() × columns.count() pixels to `out`. `source` holds just the inputs that the two axes read. Any
/// number of channels. The same bytes on every processor.
void resample(const ConstImageView& source, const ResampleAxis& rows, const ResampleAxis& columns, std::byte* out,
              Scratch& scratch);

/// All of `image` at `size`, each extent at least 1 and together at most max_image_pixels.
Image resize(const ConstImageView& image, ImageSize size, Filter filter = Filter::bilinear);

}  // namespace trainyard
