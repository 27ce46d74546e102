// random_resized_crop(size=224, scale_min=0.08, scale_max=1, ratio_min=0.75, ratio_max=1.333, interpolation=bilinear):
// crops a random part of the image, of random area and aspect ratio, and resizes it to a square. Szegedy et al.: "Going
// deeper with convolutions", 2014; the draws are those of torchvision's RandomResizedCrop.
#include <algorithm>
#include <cmath>

#include "transforms/transform.h"

namespace trainyard {
namespace {

class RandomResizedCrop final : public Transform {
 public:
  RandomResizedCrop(std::size_t size, Range scale, Range ratio, Filter filter)
      : size_(size), scale_(scale), ratio_(ratio), filter_(filter) {}

  std::optional<Frame> frame(ImageSize image, RandomStream random) const override {
    return Frame{region(image, random), {size_, size_}, filter_};
  }

 private:
  Rect region(ImageSize image, RandomStream random) const {
    constexpr int tries = 10;
    const auto height = static_cast<double>(image.height);
    const auto width = static_cast<double>(image.width);
    const Range log_ratio{std::log(ratio_.low), std::log(ratio_.high)};
    for (int i = 0; i < tries; ++i) {
      const double area = height * width * scale_.draw(random);
      const double ratio = std::exp(log_ratio.draw(random));
      const double w = std::nearbyint(std::sqrt(area * ratio));
      const double h = std::nearbyint(std::sqrt(area / ratio));
      if (w < 1 || w > width || h < 1 || h > height) continue;
      const Rect crop{0, 0, static_cast<std::size_t>(h), static_cast<std::size_t>(w)};
      const auto top = static_cast<std::ptrdiff_t>(random.below(image.height - crop.height + 1));
      const auto left = static_cast<std::ptrdiff_t>(random.below(image.width - crop.width + 1));
      return {top, left, crop.height, crop.width};
    }
    return central(height, width);
  }

  // Returns the central crop of the largest size that the allowed aspect ratios permit.
  Rect central(double height, double width) const {
    double w = width;
    double h = height;
    if (width / height < ratio_.low) {
      h = std::nearbyint(w / ratio_.low);
    } else if (width / height > ratio_.high) {
      w = std::nearbyint(h * ratio_.high);
    }
    h = std::clamp(h, 1.0, height);
    w = std::clamp(w, 1.0, width);
    return {static_cast<std::ptrdiff_t>((height - h) / 2), static_cast<std::ptrdiff_t>((width - w) / 2),
            static_cast<std::size_t>(h), static_cast<std::size_t>(w)};
  }

  std::size_t size_;
  Range scale_;
  Range ratio_;
  Filter filter_;
};

std::unique_ptr<Transform> make_random_resized_crop(TransformArguments& arguments) {
  const auto size = static_cast<std::size_t>(arguments.whole("size", 224, 1, 8192));
  const Range scale = arguments.range("scale", {0.08, 1}, {1e-6, 1});
  const Range ratio = arguments.range("ratio", {3.0 / 4, 4.0 / 3}, {1e-3, 1e3});
  const bool bicubic = arguments.word("interpolation", {"bilinear", "bicubic"}) == "bicubic";
  return std::make_unique<RandomResizedCrop>(size, scale, ratio, bicubic ? Filter::bicubic : Filter::bilinear);
}

const TransformRegistry::Registration registered{
    "random_resized_crop", "random_resized_crop(size=224, scale_min=0.08): a random region, scaled to a square",
    make_random_resized_crop, __FILE__};

}  // namespace
}  // namespace trainyard
