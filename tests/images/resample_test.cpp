#include "images/resample.h"

#include <algorithm>
#include <cstdlib>

#include <gmock/gmock.h>

#include "util/random.h"

namespace trainyard {
namespace {

using testing::ElementsAre;

Image grey(std::size_t height, std::size_t width, const std::vector<int>& values) {
  Image image{height, width, 1, {}};
  for (const int value : values) image.pixels.push_back(static_cast<std::byte>(value));
  return image;
}

std::vector<int> values_of(const Image& image) {
  std::vector<int> values;
  for (const std::byte pixel : image.pixels) values.push_back(std::to_integer<int>(pixel));
  return values;
}

TEST(Resize, ToTheSameSizeChangesNothing) {
  EXPECT_THAT(values_of(resize(grey(2, 3, {1, 2, 3, 4, 5, 6}), {2, 3})), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(Resize, KeepsAFlatImageFlat) {
  for (const int value : {0, 1, 127, 254, 255}) {
    Image image{37, 53, 3, std::vector<std::byte>(std::size_t{37} * 53 * 3, static_cast<std::byte>(value))};
    for (const auto& [height, width] : {std::pair{1, 1}, {224, 224}, {11, 200}, {64, 7}, {36, 52}}) {
      const Image result = resize(image, {static_cast<std::size_t>(height), static_cast<std::size_t>(width)});
      EXPECT_EQ(result.pixels,
                std::vector<std::byte>(static_cast<std::size_t>(height * width * 3), static_cast<std::byte>(value)));
    }
  }
}

TEST(Resize, ToHalfWeighsAsATriangleOfFourPixels) {
  // The weights are 1/8, 3/8, 3/8, 1/8. At the edges the triangle is cut off, and the remaining weights are 3/7, 3/7,
  // 1/7.
  EXPECT_THAT(values_of(resize(grey(1, 8, {0, 0, 0, 80, 80, 0, 0, 0}), {1, 4})), ElementsAre(0, 40, 40, 0));
  EXPECT_THAT(values_of(resize(grey(1, 8, {70, 0, 0, 0, 0, 0, 0, 7}), {1, 4})), ElementsAre(30, 0, 0, 3));
  EXPECT_THAT(values_of(resize(grey(8, 1, {70, 0, 0, 0, 0, 0, 0, 7}), {4, 1})), ElementsAre(30, 0, 0, 3));
}

TEST(Resize, ToTwiceInterpolatesBetweenCenters) {
  EXPECT_THAT(values_of(resize(grey(1, 2, {0, 100}), {1, 4})), ElementsAre(0, 25, 75, 100));
  EXPECT_THAT(values_of(resize(grey(2, 1, {0, 100}), {4, 1})), ElementsAre(0, 25, 75, 100));
}

TEST(Resize, KeepsChannelsApart) {
  const Image image{
      1, 2, 3, {std::byte{0}, std::byte{10}, std::byte{20}, std::byte{100}, std::byte{10}, std::byte{60}}};
  EXPECT_THAT(values_of(resize(image, {1, 4})), ElementsAre(0, 10, 20, 25, 10, 30, 75, 10, 50, 100, 10, 60));
}

TEST(Resize, ScalesColumnsFirstWhereThatIsLessWork) {
  Image image{40, 30, 1, {}};
  RandomStream random(1);
  for (std::size_t i = 0; i < image.height * image.width; ++i) {
    image.pixels.push_back(static_cast<std::byte>(random.next()));
  }
  const auto one_by_one = [&](ImageSize first, ImageSize then) {
    return resize(resize(image, first, Filter::bicubic), then, Filter::bicubic).pixels;
  };
  // The height shrinks by 21 pixels, the width by 10 and then by 11.
  EXPECT_EQ(resize(image, {19, 20}, Filter::bicubic).pixels, one_by_one({19, 30}, {19, 20}));
  EXPECT_EQ(resize(image, {19, 19}, Filter::bicubic).pixels, one_by_one({40, 19}, {19, 19}));
  EXPECT_EQ(resize(image, {39, 50}, Filter::bicubic).pixels, one_by_one({39, 30}, {39, 50}));
  EXPECT_EQ(resize(image, {41, 60}, Filter::bicubic).pixels, one_by_one({40, 60}, {41, 60}));
}

// The definition in floating point: each output is the weighted mean of the inputs under a triangle as wide as the
// scale.
double by_definition(const Image& image, double scale_y, double scale_x, std::size_t y, std::size_t x) {
  const auto weight = [](double scale, std::size_t out, std::size_t in) {
    const double center = (static_cast<double>(out) + 0.5) * scale;
    return std::max(0.0, 1 - std::abs((static_cast<double>(in) + 0.5 - center) / std::max(scale, 1.0)));
  };
  double sum = 0;
  double weights = 0;
  for (std::size_t i = 0; i < image.height; ++i) {
    for (std::size_t j = 0; j < image.width; ++j) {
      const double both = weight(scale_y, y, i) * weight(scale_x, x, j);
      sum += both * std::to_integer<int>(image.pixels[i * image.width + j]);
      weights += both;
    }
  }
  return sum / weights;
}

TEST(Resize, IsWithinOneLevelOfTheDefinitionForAnyScale) {
  RandomStream random(4);
  for (int i = 0; i < 60; ++i) {
    Image image{1 + random.below(24), 1 + random.below(24), 1, {}};
    for (std::size_t j = 0; j < image.height * image.width; ++j) {
      image.pixels.push_back(static_cast<std::byte>(random.next()));
    }
    const std::size_t height = 1 + random.below(40);
    const std::size_t width = 1 + random.below(40);
    const Image result = resize(image, {height, width});
    ASSERT_EQ(result.pixels.size(), height * width);
    const double scale_y = static_cast<double>(image.height) / static_cast<double>(height);
    const double scale_x = static_cast<double>(image.width) / static_cast<double>(width);
    for (std::size_t y = 0; y < height; ++y) {
      for (std::size_t x = 0; x < width; ++x) {
        EXPECT_NEAR(std::to_integer<int>(result.pixels[y * width + x]), by_definition(image, scale_y, scale_x, y, x),
                    1.01);
      }
    }
  }
}

TEST(ResampleAxis, ReadsOnlyTheInputsOfTheOutputsAskedFor) {
  const ResampleAxis whole(0, 100, 50, 0, 50, Filter::bilinear);
  EXPECT_EQ(whole.source_begin(), 0u);
  EXPECT_EQ(whole.source_count(), 100u);
  // Outputs 10 to 14 have their centres from 21 to 29, and inputs up to a distance of 2 count.
  const ResampleAxis part(0, 100, 50, 10, 5, Filter::bilinear);
  EXPECT_EQ(part.source_begin(), 19u);
  EXPECT_EQ(part.source_count(), 12u);
}

}  // namespace
}  // namespace trainyard
