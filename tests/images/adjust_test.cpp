#include "images/adjust.h"

#include <algorithm>

#include <gmock/gmock.h>

#include "support/image_files.h"

namespace trainyard {
namespace {

using testing::Each;
using testing::ElementsAre;

ImageView view(Image& image) { return {image.pixels.data(), image.height, image.width, image.channels}; }

std::vector<int> values_of(const Image& image) {
  std::vector<int> values;
  for (const std::byte pixel : image.pixels) values.push_back(std::to_integer<int>(pixel));
  return values;
}

Image image_of(std::size_t height, std::size_t width, std::size_t channels, const std::vector<int>& values) {
  Image image{height, width, channels, {}};
  for (const int value : values) image.pixels.push_back(static_cast<std::byte>(value));
  return image;
}

TEST(Adjust, ByAFactorOfOneChangesNothing) {
  Image image = ramp(20, 30, 3);
  adjust_brightness(view(image), 1);
  adjust_contrast(view(image), 1);
  adjust_saturation(view(image), 1);
  adjust_sharpness(view(image), 1);
  EXPECT_EQ(image.pixels, ramp(20, 30, 3).pixels);
}

TEST(Adjust, BrightnessMultipliesAndStaysInRange) {
  Image image = image_of(1, 4, 1, {0, 10, 100, 200});
  adjust_brightness(view(image), 2);
  EXPECT_THAT(values_of(image), ElementsAre(0, 20, 200, 255));
}

TEST(Adjust, WithoutContrastAllIsTheMean) {
  Image image = image_of(1, 4, 1, {0, 10, 100, 200});
  adjust_contrast(view(image), 0);
  EXPECT_THAT(values_of(image), Each(78));
}

TEST(Adjust, WithoutSaturationAllIsGrey) {
  Image image = image_of(1, 2, 3, {255, 0, 0, 0, 255, 0});
  adjust_saturation(view(image), 0);
  EXPECT_THAT(values_of(image), ElementsAre(76, 76, 76, 150, 150, 150));
}

TEST(Adjust, AThirdOfTheCircleTurnsRedIntoGreen) {
  Image image = image_of(1, 1, 3, {255, 0, 0});
  adjust_hue(view(image), 85.0 / 255);
  EXPECT_THAT(values_of(image), ElementsAre(0, 255, 0));
}

TEST(Adjust, TablesDoWhatTheirNamesSay) {
  Image image = image_of(1, 4, 1, {7, 100, 128, 250});
  posterize(view(image), 2);
  EXPECT_THAT(values_of(image), ElementsAre(0, 64, 128, 192));
  solarize(view(image), 100);
  EXPECT_THAT(values_of(image), ElementsAre(0, 64, 127, 63));
  autocontrast(view(image));
  EXPECT_THAT(values_of(image), ElementsAre(0, 128, 255, 126));
}

TEST(Adjust, EqualizeSpreadsValues) {
  Image image = ramp(40, 40, 3, 50);
  equalize(view(image));
  const std::vector<int> values = values_of(image);
  EXPECT_EQ(*std::min_element(values.begin(), values.end()), 0);
  EXPECT_EQ(*std::max_element(values.begin(), values.end()), 255);
}

TEST(Adjust, AffineMovesAndFillsWithBlack) {
  Image image = image_of(2, 3, 1, {1, 2, 3, 4, 5, 6});
  Scratch scratch;
  transform_affine(view(image), {1, 0, 1, 0, 1, 0}, scratch);
  EXPECT_THAT(values_of(image), ElementsAre(2, 3, 0, 5, 6, 0));
}

TEST(Adjust, RotatingByAQuarterTurnsCounterClockwise) {
  Image image = image_of(2, 2, 1, {1, 2, 3, 4});
  Scratch scratch;
  transform_affine(view(image), rotation({2, 2}, 90), scratch);
  EXPECT_THAT(values_of(image), ElementsAre(2, 4, 1, 3));
}

}  // namespace
}  // namespace trainyard
