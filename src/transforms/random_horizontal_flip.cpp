// random_horizontal_flip(p=0.5): flips the image left to right with probability p, like torchvision's
// RandomHorizontalFlip.
#include <algorithm>
#include <cstring>

#include "transforms/transform.h"

namespace trainyard {
namespace {

// Pixels of compile-time size are swapped as words, not byte by byte.
template <std::size_t channels>
void mirror_row(std::byte* left, std::size_t width) {
  struct Pixel {
    std::byte values[channels];
  };
  auto* const pixels = reinterpret_cast<Pixel*>(left);
  std::reverse(pixels, pixels + width);
}

void mirror_any_row(std::byte* row, std::size_t width, std::size_t channels) {
  std::byte* right = row + width * channels;
  for (std::byte* left = row; left + channels < right; left += channels) {
    right -= channels;
    std::swap_ranges(left, left + channels, right);
  }
}

class RandomHorizontalFlip final : public Transform {
 public:
  explicit RandomHorizontalFlip(double p) : p_(p) {}

  void apply(const ImageView& image, RandomStream random) override {
    if (random.uniform() >= p_) return;
    for (std::size_t y = 0; y < image.height; ++y) {
      if (image.channels == 1) {
        mirror_row<1>(image.row(y), image.width);
      } else if (image.channels == 3) {
        mirror_row<3>(image.row(y), image.width);
      } else {
        mirror_any_row(image.row(y), image.width, image.channels);
      }
    }
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
