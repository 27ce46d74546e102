// center_crop(size=224): the center of the image, like torchvision's CenterCrop(size); padded with black if the image
// is smaller.
#include <cmath>

#include "transforms/transform.h"

namespace trainyard {
namespace {

// Returns where a crop of `size` begins in `extent` pixels. Like torchvision, rounds half to even, and pads one more
// pixel at the end if the padding is odd.
std::ptrdiff_t centered(std::size_t extent, std::size_t size) {
  const auto spare = static_cast<std::ptrdiff_t>(extent) - static_cast<std::ptrdiff_t>(size);
  return spare < 0 ? -(-spare / 2) : static_cast<std::ptrdiff_t>(std::nearbyint(static_cast<double>(spare) / 2));
}

class CenterCrop final : public Transform {
 public:
  explicit CenterCrop(std::size_t size) : size_(size) {}

  std::optional<Frame> frame(ImageSize image, RandomStream) const override {
    return Frame{{centered(image.height, size_), centered(image.width, size_), size_, size_}, {size_, size_}};
  }

  bool is_deterministic() const override { return true; }

 private:
  std::size_t size_;
};

std::unique_ptr<Transform> make_center_crop(TransformArguments& arguments) {
  return std::make_unique<CenterCrop>(static_cast<std::size_t>(arguments.whole("size", 224, 1, 8192)));
}

const TransformRegistry::Registration registered{"center_crop", "center_crop(size=224): crops the central square",
                                                 make_center_crop, __FILE__};

}  // namespace
}  // namespace trainyard
