/// Random changes of a picture's colours, and what they are drawn to be.
#pragma once

#include <array>
#include <cstdint>

#include "transforms/transform.h"

namespace trainyard {

/// torchvision's ColorJitter, on pictures as Pillow has them.
class ColorJitter final : public Transform {
 public:
  enum class Kind : std::uint8_t { brightness, contrast, saturation, hue };
  struct Change {
    Kind kind;
    double value;  ///< a factor; of the hue, a part of the colour circle
  };

  /// Factors of 1 - value, or 0 where that is less, to 1 + value; the hue turns by up to `hue`, 0 to 0.5, both ways.
  /// What has a value of 0 is left alone.
  ColorJitter(double brightness, double contrast, double saturation, double hue);

  /// One change of each kind, in random order: what torchvision's ColorJitter.get_params returns.
  std::array<Change, 4> draw(RandomStream random) const;

  void apply(const ImageView& image, RandomStream random) override;

 private:
  std::array<Range, 4> ranges_;  ///< of each kind
};

}  // namespace trainyard
