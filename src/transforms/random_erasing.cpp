// random_erasing(p=0.5, scale_min=0.02, scale_max=0.33, ratio_min=0.3, ratio_max=3.3, value=0): with probability p,
// fills a random rectangle with one grey value. Zhong et al.: "Random erasing data augmentation", 2017; the draws are
// those of torchvision's RandomErasing, which runs after normalization, where the value 0 is the mean of the training
// images.
#include <cmath>
#include <cstring>

#include "transforms/transform.h"

namespace trainyard {
namespace {

class RandomErasing final : public Transform {
 public:
  RandomErasing(double p, Range scale, Range ratio, int value) : p_(p), scale_(scale), ratio_(ratio), value_(value) {}

  void apply(const ImageView& image, RandomStream random) override {
    constexpr int tries = 10;
    if (random.uniform() >= p_) return;
    const Range log_ratio{std::log(ratio_.low), std::log(ratio_.high)};
    for (int i = 0; i < tries; ++i) {
      const double area = static_cast<double>(image.height) * static_cast<double>(image.width) * scale_.draw(random);
      const double ratio = std::exp(log_ratio.draw(random));
      const auto height = static_cast<std::size_t>(std::nearbyint(std::sqrt(area * ratio)));
      const auto width = static_cast<std::size_t>(std::nearbyint(std::sqrt(area / ratio)));
      if (height >= image.height || width >= image.width) continue;
      const std::size_t top = random.below(image.height - height + 1);
      const std::size_t left = random.below(image.width - width + 1);
      for (std::size_t y = top; y < top + height; ++y) {
        std::memset(image.row(y) + left * image.channels, value_, width * image.channels);
      }
      return;
    }
  }

 private:
  double p_;
  Range scale_;
  Range ratio_;
  int value_;
};

std::unique_ptr<Transform> make_random_erasing(TransformArguments& arguments) {
  const double p = arguments.number("p", 0.5, 0, 1);
  const Range scale = arguments.range("scale", {0.02, 0.33}, {0, 1});
  const Range ratio = arguments.range("ratio", {0.3, 3.3}, {1e-3, 1e3});
  return std::make_unique<RandomErasing>(p, scale, ratio, static_cast<int>(arguments.whole("value", 0, 0, 255)));
}

const TransformRegistry::Registration registered{
    "random_erasing", "random_erasing(p=0.5, value=0): fills a random rectangle with one grey value",
    make_random_erasing, __FILE__};

}  // namespace
}  // namespace trainyard
