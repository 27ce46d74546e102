// random_crop(size=0, padding=4): pads the image with `padding` black pixels on each side and crops a square of `size`,
// or the original size if `size` is 0, at a uniformly random position, like torchvision's RandomCrop(size, padding).
#include "transforms/transform.h"
#include "util/error.h"

namespace trainyard {
namespace {

class RandomCrop final : public Transform {
 public:
  RandomCrop(std::size_t size, std::size_t padding) : size_(size), padding_(padding) {}

  std::optional<Frame> frame(ImageSize image, RandomStream random) const override {
    const ImageSize size = size_ == 0 ? image : ImageSize{size_, size_};
    if (size.height > image.height + 2 * padding_ || size.width > image.width + 2 * padding_) {
      throw RunError("transform",
                     "random_crop(size={}, padding={}) cannot be cut out of an image of {} x {}: resize it first, or "
                     "give more padding",
                     size_, padding_, image.width, image.height);
    }
    const auto place = [&](std::size_t extent, std::size_t wanted) {
      return static_cast<std::ptrdiff_t>(random.below(extent + 2 * padding_ - wanted + 1)) -
             static_cast<std::ptrdiff_t>(padding_);
    };
    const std::ptrdiff_t top = place(image.height, size.height);
    const std::ptrdiff_t left = place(image.width, size.width);
    return Frame{{top, left, size.height, size.width}, size};
  }

 private:
  std::size_t size_;
  std::size_t padding_;
};

std::unique_ptr<Transform> make_random_crop(TransformArguments& arguments) {
  const auto size = static_cast<std::size_t>(arguments.whole("size", 0, 0, 8192));
  const auto padding = static_cast<std::size_t>(arguments.whole("padding", 4, 0, 1024));
  return std::make_unique<RandomCrop>(size, padding);
}

const TransformRegistry::Registration registered{
    "random_crop",
    "random_crop(size=0, padding=4): pads with black and crops a random square (size 0: the original size)",
    make_random_crop, __FILE__};

}  // namespace
}  // namespace trainyard
