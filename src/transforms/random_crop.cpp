// random_crop(padding=4): surrounds the image with `padding` black pixels and cuts a piece of the old size out of it at
// a uniformly random place, as torchvision.transforms.RandomCrop(size, padding=padding) does.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "transforms/transform.h"
#include "util/error.h"

namespace trainyard {
namespace {

class RandomCrop final : public Transform {
 public:
  RandomCrop(std::ptrdiff_t padding, const SampleSpec& sample)
      : padding_(padding), height_(sample.shape[0]), width_(sample.shape[1]), channels_(sample.shape[2]) {}

  void apply(std::span<std::byte> image, RandomStream random) override {
    const auto places = static_cast<std::uint64_t>(2 * padding_ + 1);
    const std::ptrdiff_t down = static_cast<std::ptrdiff_t>(random.below(places)) - padding_;
    const std::ptrdiff_t right = static_cast<std::ptrdiff_t>(random.below(places)) - padding_;
    // Row y of the result is row y + down of the image: walk so that no row is overwritten before it is read.
    for (std::ptrdiff_t i = 0; i < height_; ++i) {
      const std::ptrdiff_t y = down >= 0 ? i : height_ - 1 - i;
      take_row(image, y, y + down, right);
    }
  }

 private:
  void take_row(std::span<std::byte> image, std::ptrdiff_t y, std::ptrdiff_t source_y, std::ptrdiff_t right) const {
    const std::ptrdiff_t row_bytes = width_ * channels_;
    std::byte* const row = image.data() + y * row_bytes;
    if (source_y < 0 || source_y >= height_) {
      std::memset(row, 0, static_cast<std::size_t>(row_bytes));
      return;
    }
    const std::byte* const source = image.data() + source_y * row_bytes;
    const std::ptrdiff_t shift = std::abs(right) * channels_;
    const auto kept = static_cast<std::size_t>(row_bytes - shift);
    std::memmove(right < 0 ? row + shift : row, right < 0 ? source : source + shift, kept);
    std::memset(right < 0 ? row : row + kept, 0, static_cast<std::size_t>(shift));
  }

  std::ptrdiff_t padding_;
  std::ptrdiff_t height_;
  std::ptrdiff_t width_;
  std::ptrdiff_t channels_;
};

std::unique_ptr<Transform> make_random_crop(const TransformArguments& given, const SampleSpec& sample) {
  const double padding = with_defaults("random_crop", given, {{"padding", 4}}).at("padding");
  const auto limit = static_cast<double>(std::min(sample.shape[0], sample.shape[1]));
  if (!(padding >= 0 && padding <= limit) || padding != std::floor(padding)) {
    throw UsageError("transform", "random_crop(padding={}) is out of range, expected a whole number from 0 to {}",
                     padding, limit);
  }
  return std::make_unique<RandomCrop>(static_cast<std::ptrdiff_t>(padding), sample);
}

const TransformRegistry::Registration registered{"random_crop",
                                                 "random_crop(padding=4): pads with black, cuts the old "
                                                 "size out at random",
                                                 make_random_crop, __FILE__};

}  // namespace
}  // namespace trainyard
