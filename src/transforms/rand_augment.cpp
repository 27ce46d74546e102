// rand_augment(num_ops=2, magnitude=9): applies `num_ops` random operations out of fourteen with one strength (0 to
// 30). Cubuk et al.: "RandAugment: practical automated data augmentation with a reduced search space", 2019; operations
// and strengths are those of torchvision's transforms.RandAugment with its defaults. (torchvision's transforms.v2
// rounds the threshold of solarize to float32, which sometimes changes the comparison with a value.)
#include <cmath>

#include "images/adjust.h"
#include "transforms/transform.h"

namespace trainyard {
namespace {

constexpr std::int64_t strongest = 30;

class RandAugment final : public Transform {
 public:
  RandAugment(std::int64_t num_ops, std::int64_t magnitude)
      : num_ops_(num_ops), magnitude_(magnitude), strength_(static_cast<double>(magnitude) / strongest) {}

  bool supports_masks() const override { return false; }

  void apply(const ImageView& image, RandomStream random) override {
    for (std::int64_t i = 0; i < num_ops_; ++i) {
      const std::uint64_t operation = random.below(14);
      apply_one(operation, image, random.below(2) == 0 ? 1 : -1);
    }
  }

 private:
  // `sign` applies to the operations that have two directions.
  void apply_one(std::uint64_t operation, const ImageView& image, double sign) {
    const double shear = sign * 0.3 * strength_;
    const double change = sign * 0.9 * strength_;
    // Integer arithmetic, where rounding a fraction could change the result.
    const auto shift = [&](std::size_t extent) {
      const std::int64_t pixels = 150 * static_cast<std::int64_t>(extent) * magnitude_ / (331 * strongest);
      return sign * static_cast<double>(pixels);
    };
    switch (operation) {
      case 0:
        return;  // identity
      case 1:
        return transform_affine(image, {1, shear, 0, 0, 1, 0}, scratch_);
      case 2:
        return transform_affine(image, {1, 0, 0, shear, 1, 0}, scratch_);
      case 3:
        return transform_affine(image, {1, 0, -shift(image.width), 0, 1, 0}, scratch_);
      case 4:
        return transform_affine(image, {1, 0, 0, 0, 1, -shift(image.height)}, scratch_);
      case 5:
        return transform_affine(image, rotation(image.size(), sign * 30 * strength_), scratch_);
      case 6:
        return adjust_brightness(image, static_cast<float>(1 + change));
      case 7:
        return adjust_saturation(image, static_cast<float>(1 + change));
      case 8:
        return adjust_contrast(image, static_cast<float>(1 + change));
      case 9:
        return adjust_sharpness(image, static_cast<float>(1 + change));
      case 10:
        return posterize(image, 8 - static_cast<int>(std::nearbyint(4 * strength_)));
      case 11:
        return solarize(image, static_cast<int>(255 - 255 * magnitude_ / strongest));
      case 12:
        return autocontrast(image);
      default:
        return equalize(image);
    }
  }

  std::int64_t num_ops_;
  std::int64_t magnitude_;
  double strength_;
  Scratch scratch_;
};

std::unique_ptr<Transform> make_rand_augment(TransformArguments& arguments) {
  const std::int64_t num_ops = arguments.whole("num_ops", 2, 0, 100);
  return std::make_unique<RandAugment>(num_ops, arguments.whole("magnitude", 9, 0, strongest));
}

const TransformRegistry::Registration registered{
    "rand_augment", "rand_augment(num_ops=2, magnitude=9): random changes of colour, position and shape",
    make_rand_augment, __FILE__};

}  // namespace
}  // namespace trainyard
