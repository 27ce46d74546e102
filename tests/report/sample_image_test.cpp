#include "report/sample_image.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::ElementsAre;

std::vector<int> values(const Image& image) {
  std::vector<int> result;
  for (const std::byte value : image.pixels) result.push_back(std::to_integer<int>(value));
  return result;
}

TEST(PictureOf, ShowsColoursAsTheyAreAndTheFirstOfOtherChannels) {
  const std::vector<std::byte> bytes = {std::byte{1}, std::byte{2}, std::byte{3},
                                        std::byte{4}, std::byte{5}, std::byte{6}};
  EXPECT_THAT(values(sample_image(bytes, {"image", DType::uint8, {1, 2, 3}})), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(values(sample_image(bytes, {"image", DType::uint8, {1, 3, 2}})), ElementsAre(1, 3, 5));
}

TEST(PictureOf, TakesFloatsAsZeroToOne) {
  const std::vector<float> floats = {-1, 0.5F, 7, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THAT(values(sample_image(std::as_bytes(std::span(floats)), {"image", DType::float32, {2, 2, 1}})),
              ElementsAre(0, 128, 255, 0));
}

TEST(PictureOf, RefusesSamplesThatAreNoPictures) {
  EXPECT_THAT(error_of<RunError>([] { sample_image({}, {"image", DType::uint8, {4}}); }),
              testing::HasSubstr("1 dimensions"));
}

TEST(Thumbnail, KeepsTheShapeAndNeverScalesUp) {
  const Image image{10, 400, 1, std::vector<std::byte>(4000, std::byte{9})};
  const Image small = thumbnail(image, 100);
  EXPECT_EQ(small.width, 100u);
  EXPECT_EQ(small.height, 2u);
  EXPECT_EQ(thumbnail(image, 500).width, 400u);
}

TEST(PictureGrid, LaysPicturesRowByRow) {
  const auto flat = [](int value) { return Image{1, 1, 1, {static_cast<std::byte>(value)}}; };
  const Image grid = image_grid({flat(1), flat(2), flat(3)}, 2);
  EXPECT_EQ(grid.height, 4u);
  EXPECT_EQ(grid.width, 4u);
  EXPECT_THAT(values(grid), ElementsAre(1, 32, 32, 2, 32, 32, 32, 32, 32, 32, 32, 32, 3, 32, 32, 32));
}

}  // namespace
}  // namespace trainyard
