/// Randomly changes an image's colours, and exposes the drawn parameters.
#pragma once

#include <array>
#include <cstdint>

#include "transforms/transform.h"

namespace trainyard {

/// torchvision's ColorJitter with the pixels it computes for Pillow images.
class ColorJitter final : public Transform {
 public:
  enum class Kind : std::uint8_t { brightness, contrast, saturation, hue };
  struct Change {
    Kind kind;
    double value;  ///< a factor; for hue, a fraction of the colour circle
  };

  /// Factors are drawn from max(0, 1 - value) to 1 + value; the hue is shifted by up to `hue`, 0 to 0.5, in either
  /// direction. A kind whose value is 0 is left unchanged.
  ColorJitter(double brightness, double contrast, double saturation, double hue);

  /// Draws one change of each kind, in random order, like torchvision's ColorJitter.get_params.
  std::array<Change, 4> draw(RandomStream random) const;

  void apply(const ImageView& image, RandomStream random) override;

 private:
  std::array<Range, 4> ranges_;  ///< for each kind
};

}  // namespace trainyard
