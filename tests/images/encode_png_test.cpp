#include "images/encode_png.h"

#include <gmock/gmock.h>

#include "images/decode_image.h"
#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

Image pattern(std::size_t channels) {
  Image image{7, 13, channels, {}};
  for (std::size_t i = 0; i < 7 * 13 * channels; ++i) image.pixels.push_back(static_cast<std::byte>(i * 37 % 256));
  return image;
}

TEST(EncodePng, ReadsBackPixelForPixel) {
  for (const std::size_t channels : {1, 3}) {
    const Image image = pattern(channels);
    const std::string file = encode_png(image);
    const Image read = decode_image(std::as_bytes(std::span(file)), channels, "file");
    EXPECT_EQ(read.height, 7u);
    EXPECT_EQ(read.width, 13u);
    EXPECT_EQ(read.pixels, image.pixels);
  }
}

TEST(EncodePng, KeepsTheValuesOfAMaskAndShowsThemInColour) {
  const Image mask{1, 3, 1, {std::byte{0}, std::byte{2}, std::byte{1}}};
  const Palette palette = {{0, 0, 0}, {255, 0, 0}, {0, 0, 255}};
  const std::string file = encode_png(mask, palette);
  const Image shown = decode_image(std::as_bytes(std::span(file)), 3, "file");
  const std::vector<std::byte> colours = {std::byte{0},   std::byte{0},   std::byte{0}, std::byte{0}, std::byte{0},
                                          std::byte{255}, std::byte{255}, std::byte{0}, std::byte{0}};
  EXPECT_EQ(shown.pixels, colours);
  EXPECT_THAT(error_of<RunError>([&] { encode_png(mask, {{0, 0, 0}, {1, 1, 1}}); }),
              testing::HasSubstr("a palette of 2 colours does not fit"));
  EXPECT_THAT(error_of<RunError>([&] { encode_png(pattern(3), palette); }), testing::HasSubstr("a palette of 3"));
}

TEST(EncodePng, RefusesWhatIsNotAnImage) {
  Image image = pattern(3);
  image.channels = 2;
  EXPECT_THAT(error_of<RunError>([&] { encode_png(image); }), testing::HasSubstr("of 2 channels"));
  image = pattern(3);
  image.pixels.pop_back();
  EXPECT_THAT(error_of<RunError>([&] { encode_png(image); }), testing::HasSubstr("272 bytes"));
  EXPECT_THAT(error_of<RunError>([] { encode_png({}); }), testing::HasSubstr("image"));
}

}  // namespace
}  // namespace trainyard
