#include <set>

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "transforms/pipeline.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int height = 5;
constexpr int width = 7;
constexpr int channels = 2;
const Field sample_field{"image", DType::uint8, {height, width, channels}};
const std::vector<Field> sample{sample_field};

std::vector<std::byte> counting_image() {
  std::vector<std::byte> image(sample_field.bytes());
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = static_cast<std::byte>(i + 1);
  return image;
}

const std::vector<std::byte> pixels = counting_image();
const ConstImageView source(pixels.data(), {height, width}, channels);

// Returns the image shifted up by `down` and left by `right`, black where there are no pixels.
std::vector<std::byte> moved(int down, int right) {
  const auto image = counting_image();
  std::vector<std::byte> result(image.size());
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      if (y + down < 0 || y + down >= height || x + right < 0 || x + right >= width) continue;
      for (int c = 0; c < channels; ++c) {
        result[static_cast<std::size_t>((y * width + x) * channels + c)] =
            image[static_cast<std::size_t>(((y + down) * width + x + right) * channels + c)];
      }
    }
  }
  return result;
}

std::set<std::vector<std::byte>> results_of(const std::string& spec) {
  const TransformPipeline pipeline({spec}, sample);
  std::set<std::vector<std::byte>> results;
  for (std::uint64_t index = 0; index < 2'000; ++index) {
    results.insert(pipeline.apply(source, 0, 0, index).pixels);
  }
  return results;
}

TEST(RandomCrop, GivesEveryPlaceOfThePaddedImageAndNoOther) {
  for (const int padding : {1, 2, 5}) {
    std::set<std::vector<std::byte>> places;
    for (int down = -padding; down <= padding; ++down) {
      for (int right = -padding; right <= padding; ++right) places.insert(moved(down, right));
    }
    EXPECT_EQ(results_of(fmt::format("random_crop(padding={})", padding)), places);
  }
}

TEST(RandomCrop, WithoutPaddingChangesNothing) {
  EXPECT_EQ(results_of("random_crop(padding=0)"), std::set{counting_image()});
}

TEST(RandomCrop, CutsEverySquareOfTheSizeOutOfThePaddedImage) {
  const TransformPipeline pipeline({"random_crop(size=4, padding=1)"}, sample);
  std::set<std::vector<std::byte>> results;
  for (std::uint64_t index = 0; index < 2'000; ++index) {
    const Image result = pipeline.apply(source, 0, 0, index);
    ASSERT_EQ(result.height, 4u);
    ASSERT_EQ(result.width, 4u);
    results.insert(result.pixels);
  }
  EXPECT_EQ(results.size(), std::size_t{(5 + 2 - 4 + 1) * (7 + 2 - 4 + 1)});
}

TEST(RandomCrop, RefusesImagesThatAreTooSmall) {
  EXPECT_THAT(error_of<RunError>([] { TransformPipeline({"random_crop(size=8, padding=1)"}, sample); }),
              AllOf(HasSubstr("size=8"), HasSubstr("an image of 7 x 5")));
}

TEST(RandomCrop, RefusesPaddingsOutOfRange) {
  for (const char* value : {"-1", "1.5", "1025"}) {
    EXPECT_THAT(
        error_of<UsageError>([&] { TransformPipeline({fmt::format("random_crop(padding={})", value)}, sample); }),
        AllOf(HasSubstr(value), HasSubstr("a whole number from 0 to 1024")));
  }
}

}  // namespace
}  // namespace trainyard
