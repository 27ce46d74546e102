// random_horizontal_flip(p=0.5): flips the image left to right with probability p, like torchvision's
// RandomHorizontalFlip.
#include "transforms/mirror.h"
#include "transforms/transform.h"

namespace trainyard {
namespace {

class RandomHorizontalFlip final : public Transform {
 public:
  explicit RandomHorizontalFlip(double p) : p_(p) {}

  void apply(const ImageView& image, RandomStream random) override {
    if (random.uniform() < p_) mirror(image);
  }

  void apply_to_mask(const ImageView& mask, RandomStream random) override { apply(mask, random); }

  std::optional<double> mirrors() const override { return p_; }

 private:
  double p_;
};

std::unique_ptr<Transform> make_random_horizontal_flip(TransformArguments& arguments) {
  return std::make_unique<RandomHorizontalFlip>(arguments.number("p", 0.5, 0, 1));
}

const TransformRegistry::Registration registered{"random_horizontal_flip",
                                                 "random_horizontal_flip(p=0.5): randomly swaps left and right",
                                                 make_random_horizontal_flip, __FILE__};

}  // namespace
}  // namespace trainyard
