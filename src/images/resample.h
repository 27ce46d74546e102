/// Resizes images with the same pixels as Pillow's `image.resize(size, BILINEAR or BICUBIC)`, which torchvision's
/// resize calls for Pillow images. The filter's width follows the scale when shrinking. Rows and columns are filtered
/// separately, each pass rounded to 8 bits; along rows first, unless the height shrinks by more than twice as many
/// pixels as the width (as in Pillow 13 and later). Algorithm and 22-bit fixed-point weights: Pillow,
/// src/libImaging/Resample.c.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "images/image.h"

namespace trainyard {

enum class Filter : std::uint8_t { bilinear, bicubic };

/// Weights are fixed-point integers in which 1 << weight_bits is 1: with 8 bits for the pixel and a sign, 32 bits leave
/// that many and one to spare.
inline constexpr int weight_bits = 22;

/// The weights of two adjacent inputs, each high × 256 + low, for instructions that multiply pairs of 16-bit integers.
struct WeightPair {
  std::int16_t high[2];
  std::int16_t low[2];
};

/// Resizing along one axis: the inputs of each output and their weights.
class ResampleAxis {
 public:
  /// Maps the inputs between `begin` and `end` (in fractional pixels from the edge; begin < end) to `size` outputs, of
  /// which only `count`, from index `first` on, are computed. Inputs beyond begin and end are not read.
  ResampleAxis(double begin, double end, std::size_t size, std::size_t first, std::size_t count, Filter filter);

  /// The first input that is read, and the number of inputs.
  std::size_t source_begin() const { return source_begin_; }
  std::size_t source_count() const { return source_count_; }
  /// The number of outputs.
  std::size_t count() const { return windows_.size(); }
  /// The number of pixels by which the whole axis shrinks; negative if it grows.
  std::ptrdiff_t shrinks_by() const { return shrinks_by_; }
  /// Whether each output equals the input at the same index.
  bool is_identity() const { return is_identity_; }

  struct Window {
    std::uint32_t first;    ///< input of the first weight, relative to source_begin()
    std::uint32_t count;    ///< inputs
    std::uint32_t weights;  ///< index of the first weight
  };
  const std::vector<Window>& windows() const { return windows_; }
  /// The weights of a window's inputs.
  const std::int32_t* weights(const Window& window) const { return weights_.data() + window.weights; }
  /// The same in pairs; if their number is odd, the last pair is completed with 0.
  const WeightPair* weight_pairs(const Window& window) const { return pairs_.data() + window.weights / 2; }

 private:
  std::size_t source_begin_ = 0;
  std::size_t source_count_ = 0;
  std::ptrdiff_t shrinks_by_ = 0;
  bool is_identity_ = false;
  std::vector<Window> windows_;
  std::vector<std::int32_t> weights_;
  std::vector<WeightPair> pairs_;
};

/// Writes rows.count() × columns.count() pixels to `out`. `source` contains exactly the inputs that the two axes read,
/// with any number of channels. The result is the same on every processor.
void resample(const ConstImageView& source, const ResampleAxis& rows, const ResampleAxis& columns, std::byte* out,
              Scratch& scratch);

/// Resizes all of `image` to `size`, with each side at least 1 and at most max_image_pixels in total.
Image resize(const ConstImageView& image, ImageSize size, Filter filter = Filter::bilinear);

}  // namespace trainyard
