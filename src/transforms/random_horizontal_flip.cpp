// random_horizontal_flip(p=0.5): mirrors left and right with probability p.
#include <algorithm>
#include <cstddef>

#include "transforms/transform.h"
#include "util/error.h"

namespace trainyard {
namespace {

class RandomHorizontalFlip final : public Transform {
 public:
  RandomHorizontalFlip(double p, const SampleSpec& sample)
      : p_(p),
        width_(static_cast<std::size_t>(sample.shape[1])),
        channels_(static_cast<std::size_t>(sample.shape[2])) {}

  void apply(std::span<std::byte> image, RandomStream random) override {
    if (random.uniform() >= p_) return;
    for (; !image.empty(); image = image.subspan(width_ * channels_)) {
      for (std::size_t left = 0, right = width_ - 1; left < right; ++left, --right) {
        const auto pixel = image.subspan(left * channels_, channels_);
        std::swap_ranges(pixel.begin(), pixel.end(), image.begin() + static_cast<std::ptrdiff_t>(right * channels_));
      }
    }
  }

 private:
  double p_;
  std::size_t width_;
  std::size_t channels_;
};

std::unique_ptr<Transform> make_random_horizontal_flip(const TransformArguments& given, const SampleSpec& sample) {
  const double p = with_defaults("random_horizontal_flip", given, {{"p", 0.5}}).at("p");
  if (!(p >= 0 && p <= 1)) {
    throw UsageError("transform", "random_horizontal_flip(p={}) is out of range, expected a number from 0 to 1", p);
  }
  return std::make_unique<RandomHorizontalFlip>(p, sample);
}

const TransformRegistry::Registration registered{"random_horizontal_flip",
                                                 "random_horizontal_flip(p=0.5): mirrors left and right at random",
                                                 make_random_horizontal_flip, __FILE__};

}  // namespace
}  // namespace trainyard
