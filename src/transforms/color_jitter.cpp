// color_jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0): changes each by a random factor of 1 - value to
// 1 + value, and the hue by up to the given part of the colour circle, in random order: torchvision's ColorJitter.
#include <algorithm>
#include <array>

#include "images/adjust.h"
#include "transforms/transform.h"

namespace trainyard {
namespace {

class ColorJitter final : public Transform {
 public:
  ColorJitter(double brightness, double contrast, double saturation, double hue)
      : brightness_(factors(brightness)),
        contrast_(factors(contrast)),
        saturation_(factors(saturation)),
        hue_{-hue, hue} {}

  void apply(const ImageView& image, RandomStream random) override {
    std::array<int, 4> order{0, 1, 2, 3};
    for (std::size_t left = order.size(); left > 1; --left) std::swap(order.at(left - 1), order.at(random.below(left)));
    const auto brightness = static_cast<float>(brightness_.draw(random));
    const auto contrast = static_cast<float>(contrast_.draw(random));
    const auto saturation = static_cast<float>(saturation_.draw(random));
    const double hue = hue_.draw(random);
    for (const int which : order) {
      if (which == 0 && brightness_.high > brightness_.low) adjust_brightness(image, brightness);
      if (which == 1 && contrast_.high > contrast_.low) adjust_contrast(image, contrast);
      if (which == 2 && saturation_.high > saturation_.low) adjust_saturation(image, saturation);
      if (which == 3 && hue_.high > hue_.low) adjust_hue(image, hue);
    }
  }

 private:
  static Range factors(double value) { return {std::max(0.0, 1 - value), 1 + value}; }

  Range brightness_;
  Range contrast_;
  Range saturation_;
  Range hue_;
};

std::unique_ptr<Transform> make_color_jitter(TransformArguments& arguments) {
  const double brightness = arguments.number("brightness", 0.4, 0, 10);
  const double contrast = arguments.number("contrast", 0.4, 0, 10);
  const double saturation = arguments.number("saturation", 0.4, 0, 10);
  return std::make_unique<ColorJitter>(brightness, contrast, saturation, arguments.number("hue", 0, 0, 0.5));
}

const TransformRegistry::Registration registered{
    "color_jitter", "color_jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0): changes each at random",
    make_color_jitter, __FILE__};

}  // namespace
}  // namespace trainyard
