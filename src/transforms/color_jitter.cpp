// color_jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0): changes each by a random factor of 1 - value to 1
// + value, and the hue by up to the given fraction of the colour circle, in random order, like torchvision's
// ColorJitter.
#include "transforms/color_jitter.h"

#include <algorithm>

#include "images/adjust.h"

namespace trainyard {
namespace {

Range factors(double value) { return {std::max(0.0, 1 - value), 1 + value}; }

std::unique_ptr<Transform> make_color_jitter(TransformArguments& arguments) {
  const double brightness = arguments.number("brightness", 0.4, 0, 10);
  const double contrast = arguments.number("contrast", 0.4, 0, 10);
  const double saturation = arguments.number("saturation", 0.4, 0, 10);
  return std::make_unique<ColorJitter>(brightness, contrast, saturation, arguments.number("hue", 0, 0, 0.5));
}

const TransformRegistry::Registration registered{
    "color_jitter", "color_jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0): changes each randomly",
    make_color_jitter, __FILE__};

}  // namespace

ColorJitter::ColorJitter(double brightness, double contrast, double saturation, double hue)
    : ranges_{factors(brightness), factors(contrast), factors(saturation), Range{-hue, hue}} {}

std::array<ColorJitter::Change, 4> ColorJitter::draw(RandomStream random) const {
  std::array<std::size_t, 4> order{0, 1, 2, 3};
  for (std::size_t left = order.size(); left > 1; --left) std::swap(order.at(left - 1), order.at(random.below(left)));
  std::array<double, 4> values{};
  for (std::size_t kind = 0; kind < values.size(); ++kind) values.at(kind) = ranges_.at(kind).draw(random);
  std::array<Change, 4> changes{};
  for (std::size_t i = 0; i < order.size(); ++i) {
    changes.at(i) = {static_cast<Kind>(order.at(i)), values.at(order.at(i))};
  }
  return changes;
}

void ColorJitter::apply(const ImageView& image, RandomStream random) {
  for (const auto& [kind, value] : draw(random)) {
    const Range& range = ranges_.at(static_cast<std::size_t>(kind));
    if (range.low == range.high) continue;
    const auto factor = static_cast<float>(value);
    switch (kind) {
      case Kind::brightness:
        adjust_brightness(image, factor);
        break;
      case Kind::contrast:
        adjust_contrast(image, factor);
        break;
      case Kind::saturation:
        adjust_saturation(image, factor);
        break;
      case Kind::hue:
        adjust_hue(image, value);
        break;
    }
  }
}

}  // namespace trainyard
