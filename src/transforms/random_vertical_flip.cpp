// random_vertical_flip(p=0.5): flips the image top to bottom with probability p, like torchvision's RandomVerticalFlip.
#include <algorithm>

#include "transforms/transform.h"

namespace trainyard {
namespace {

class RandomVerticalFlip final : public Transform {
 public:
  explicit RandomVerticalFlip(double p) : p_(p) {}

  void apply(const ImageView& image, RandomStream random) override {
    if (random.uniform() >= p_) return;
    for (std::size_t top = 0, bottom = image.height - 1; top < bottom; ++top, --bottom) {
      std::swap_ranges(image.row(top), image.row(top) + image.row_bytes(), image.row(bottom));
    }
  }

  void apply_to_mask(const ImageView& mask, RandomStream random) override { apply(mask, random); }

 private:
  double p_;
};

std::unique_ptr<Transform> make_random_vertical_flip(TransformArguments& arguments) {
  return std::make_unique<RandomVerticalFlip>(arguments.number("p", 0.5, 0, 1));
}

const TransformRegistry::Registration registered{"random_vertical_flip",
                                                 "random_vertical_flip(p=0.5): randomly swaps top and bottom",
                                                 make_random_vertical_flip, __FILE__};

}  // namespace
}  // namespace trainyard
