#include "images/decode_image.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <gmock/gmock.h>
#include <zlib.h>

#include "support/error_of.h"
#include "support/image_files.h"
#include "util/error.h"
#include "util/random.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;

Image flat(std::vector<int> pixel) {
  Image image{16, 16, pixel.size(), {}};
  for (int i = 0; i < 256; ++i) {
    for (const int value : pixel) image.pixels.push_back(static_cast<std::byte>(value));
  }
  return image;
}

Image decode(const std::string& file, std::size_t channels) {
  return decode_image(std::as_bytes(std::span(file)), channels, "the/path");
}

std::vector<int> first_pixel(const Image& image) {
  std::vector<int> pixel;
  for (std::size_t c = 0; c < image.channels; ++c) pixel.push_back(std::to_integer<int>(image.pixels[c]));
  return pixel;
}

int largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.pixels.size(), b.pixels.size());
  int largest = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i) {
    largest = std::max(largest, std::abs(std::to_integer<int>(a.pixels[i]) - std::to_integer<int>(b.pixels[i])));
  }
  return largest;
}

std::string error(const std::string& file) {
  const std::string message = error_of<RunError>([&] { decode(file, 3); });
  EXPECT_THAT(message, AllOf(HasSubstr("[image]"), HasSubstr("the/path")));
  return message;
}

// Returns the PNG with another size in its header chunk and a correct checksum.
std::string with_png_size(std::string file, std::uint32_t width, std::uint32_t height) {
  const auto put = [&](std::size_t offset, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) file[offset + i] = static_cast<char>(value >> (24 - 8 * i) & 0xff);
  };
  put(16, width);
  put(20, height);
  put(29, static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(file.data()) + 12, 17)));
  return file;
}

TEST(DecodePng, GivesBackRgbAndGrey) {
  const Image rgb = decode(png_file(ramp(9, 13, 3)), 3);
  EXPECT_EQ(rgb.height, 9u);
  EXPECT_EQ(rgb.width, 13u);
  EXPECT_EQ(rgb.channels, 3u);
  EXPECT_EQ(rgb.pixels, ramp(9, 13, 3).pixels);
  EXPECT_EQ(decode(png_file(ramp(9, 13, 1), {.color_type = 0}), 1).pixels, ramp(9, 13, 1).pixels);
}

TEST(DecodePng, GivesBackInterlacedImages) {
  EXPECT_EQ(decode(png_file(ramp(19, 23, 3), {.interlaced = true}), 3).pixels, ramp(19, 23, 3).pixels);
}

TEST(DecodePng, DropsAlpha) {
  EXPECT_THAT(first_pixel(decode(png_file(flat({10, 20, 30, 0}), {.color_type = 6}), 3)), ElementsAre(10, 20, 30));
  EXPECT_THAT(first_pixel(decode(png_file(flat({10, 0}), {.color_type = 4}), 3)), ElementsAre(10, 10, 10));
}

TEST(DecodePng, LooksUpPalettes) {
  EXPECT_THAT(first_pixel(decode(png_file(flat({9}), {.color_type = 3}), 3)), ElementsAre(9, 18, 246));
  EXPECT_THAT(first_pixel(decode(png_file(flat({3}), {.color_type = 3, .bit_depth = 2}), 3)), ElementsAre(3, 6, 252));
}

TEST(DecodePng, StretchesFewBitsAndKeepsTheHighByteOfSixteen) {
  EXPECT_THAT(first_pixel(decode(png_file(flat({1}), {.color_type = 0, .bit_depth = 1}), 1)), ElementsAre(255));
  EXPECT_THAT(first_pixel(decode(png_file(flat({2}), {.color_type = 0, .bit_depth = 2}), 1)), ElementsAre(170));
  EXPECT_THAT(first_pixel(decode(png_file(flat({7}), {.color_type = 0, .bit_depth = 4}), 1)), ElementsAre(119));
  EXPECT_EQ(decode(png_file(ramp(9, 13, 3), {.bit_depth = 16}), 3).pixels, ramp(9, 13, 3).pixels);
}

std::vector<std::byte> decode_mask(const std::string& file, ImageSize size) {
  const auto reader = ImageReader::open_mask(std::as_bytes(std::span(file)), "mask.png");
  EXPECT_EQ(reader->size(), size);
  std::vector<std::byte> pixels(size.height * size.width);
  reader->read(Rect::whole(size), 1, 1, pixels.data());
  return pixels;
}

TEST(DecodeMask, GivesTheNumbersInTheFile) {
  for (const int color_type : {0, 3}) {
    for (const int bits : {1, 2, 4, 8}) {
      for (const bool interlaced : {false, true}) {
        const Image mask = ramp(9, 13, 1, 1U << bits);
        const std::string file =
            png_file(mask, {.color_type = color_type, .bit_depth = bits, .interlaced = interlaced});
        EXPECT_EQ(decode_mask(file, {9, 13}), mask.pixels) << color_type << ", " << bits << " bits";
      }
    }
  }
}

TEST(DecodeMask, RefusesWhatHasNoClassPerPixelAndSaysWhatItIs) {
  const auto error = [](const std::string& file) {
    return error_of<RunError>([&] { ImageReader::open_mask(std::as_bytes(std::span(file)), "a/mask.png"); });
  };
  EXPECT_THAT(error(png_file(ramp(4, 4, 3))), AllOf(HasSubstr("a/mask.png"), HasSubstr("8-bit RGB")));
  EXPECT_THAT(error(png_file(ramp(4, 4, 1), {.color_type = 0, .bit_depth = 16})), HasSubstr("16-bit grey"));
  EXPECT_THAT(error(png_file(ramp(4, 4, 2), {.color_type = 4})), HasSubstr("8-bit grey with alpha"));
  EXPECT_THAT(error(jpeg_file(ramp(4, 4, 1))), HasSubstr("a JPEG; a mask is a PNG"));
  EXPECT_THAT(error("text"), HasSubstr("a mask is a PNG"));
}

TEST(DecodeJpeg, IsCloseToWhatWasEncoded) {
  const Image image = ramp(20, 27, 3);
  EXPECT_LE(largest_difference(decode(jpeg_file(image), 3), image), 5);
  EXPECT_LE(largest_difference(decode(jpeg_file(image, 100, true), 3), image), 5);
  EXPECT_LE(largest_difference(decode(jpeg_file(ramp(20, 27, 1)), 1), ramp(20, 27, 1)), 2);
}

TEST(DecodeJpeg, TakesCmykAsAdobeWritesIt) {
  // The values are inverted: 255 is no ink. No cyan, full magenta and yellow, and no black give red.
  EXPECT_THAT(first_pixel(decode(jpeg_file(flat({255, 0, 0, 255})), 3)), ElementsAre(255, 0, 0));
  EXPECT_THAT(first_pixel(decode(jpeg_file(flat({255, 255, 255, 128})), 3)), ElementsAre(128, 128, 128));
  EXPECT_THAT(first_pixel(decode(jpeg_file(flat({255, 255, 255, 0})), 3)), ElementsAre(0, 0, 0));
}

// Any part that is read has the same bytes as in the whole image, even along its edges.
void expect_parts_of_the_whole(const std::string& file, std::size_t channels, const std::string& what) {
  const auto bytes = std::as_bytes(std::span(file));
  RandomStream random(key_of(what));
  for (const std::size_t shrink : {1, 2, 4, 8}) {
    if (shrink > 1 && !ImageReader::open(bytes, "x")->can_shrink(shrink)) continue;
    const ImageSize size = ImageReader::open(bytes, "x")->size(shrink);
    std::vector<std::byte> whole(size.height * size.width * channels);
    ImageReader::open(bytes, "x")->read(Rect::whole(size), channels, shrink, whole.data());
    const ConstImageView image(whole.data(), size, channels);
    for (int i = 0; i < 20; ++i) {
      const std::size_t height = 1 + random.below(size.height);
      const std::size_t width = 1 + random.below(size.width);
      const Rect part{static_cast<std::ptrdiff_t>(random.below(size.height - height + 1)),
                      static_cast<std::ptrdiff_t>(random.below(size.width - width + 1)), height, width};
      std::vector<std::byte> pixels(height * width * channels);
      ImageReader::open(bytes, "x")->read(part, channels, shrink, pixels.data());
      const ConstImageView expected = image.part(part);
      for (std::size_t y = 0; y < height; ++y) {
        ASSERT_EQ(std::memcmp(pixels.data() + y * width * channels, expected.row(y), width * channels), 0)
            << what << ", 1/" << shrink << ", row " << y << " of " << height << " x " << width << " at " << part.top
            << ", " << part.left;
      }
    }
  }
}

TEST(ImageReader, ReadsAnyPartAsItIsInTheWhole) {
  const Image noisy = noisy_ramp(75, 107, 3);
  for (const bool progressive : {false, true}) {
    for (const auto& [across, down] : {std::pair{1, 1}, {2, 1}, {2, 2}, {1, 2}, {4, 1}}) {
      const std::string file = jpeg_file(noisy, 90, progressive, across, down);
      for (const std::size_t channels : {1, 3}) {
        expect_parts_of_the_whole(
            file, channels, fmt::format("JPEG {}:{} progressive {} channels {}", across, down, progressive, channels));
      }
    }
  }
  expect_parts_of_the_whole(jpeg_file(ramp(75, 107, 1)), 3, "grey JPEG");
  expect_parts_of_the_whole(jpeg_file(ramp(75, 107, 4)), 3, "CMYK JPEG");
  expect_parts_of_the_whole(png_file(noisy), 3, "PNG");
  expect_parts_of_the_whole(png_file(noisy, {.interlaced = true}), 1, "interlaced PNG");
  expect_parts_of_the_whole(png_file(ramp(75, 107, 1), {.color_type = 0}), 3, "grey PNG");
  for (int orientation = 2; orientation <= 8; ++orientation) {
    const std::string jpeg = jpeg_file(noisy_ramp(72, 104, 3), 90, false, 2, 2);
    expect_parts_of_the_whole(with_exif(jpeg, exif_of(orientation)), 3, fmt::format("JPEG turned {}", orientation));
  }
}

TEST(DecodeImage, TurnsRgbIntoGreyByLuma) {
  EXPECT_THAT(first_pixel(decode(png_file(flat({255, 0, 0})), 1)), ElementsAre(76));
  EXPECT_THAT(first_pixel(decode(png_file(flat({0, 255, 0})), 1)), ElementsAre(150));
  EXPECT_THAT(first_pixel(decode(png_file(flat({0, 0, 255})), 1)), ElementsAre(29));
  EXPECT_THAT(first_pixel(decode(png_file(flat({255, 255, 255})), 1)), ElementsAre(255));
}

TEST(DecodeImage, TurnsGreyIntoRgb) {
  EXPECT_THAT(first_pixel(decode(png_file(flat({77}), {.color_type = 0}), 3)), ElementsAre(77, 77, 77));
  EXPECT_THAT(first_pixel(decode(jpeg_file(flat({77})), 3)), ElementsAre(77, 77, 77));
}

TEST(DecodeImage, SaysWhatAnythingElseIs) {
  EXPECT_THAT(error("GIF89a..."), HasSubstr("the/path: is a GIF image, which is not read"));
  EXPECT_THAT(error(""), HasSubstr("is empty"));
}

TEST(DecodeImage, NamesDamage) {
  const std::string jpeg = jpeg_file(ramp(64, 64, 3));
  EXPECT_THAT(error(jpeg.substr(0, 10)), HasSubstr("truncated JPEG"));
  EXPECT_THAT(error(jpeg.substr(0, jpeg.size() / 2)), HasSubstr("truncated JPEG"));
  const std::string png = png_file(ramp(64, 64, 3));
  EXPECT_THAT(error(png.substr(0, 10)), HasSubstr("truncated PNG"));
  EXPECT_THAT(error(png.substr(0, png.size() / 2)), HasSubstr("truncated PNG"));
  std::string flipped = png;
  flipped[png.size() / 2] ^= 0x10;
  EXPECT_THAT(error(flipped), HasSubstr("damaged PNG"));
}

TEST(DecodeImage, RefusesHugeImagesBeforeTakingMemory) {
  std::string jpeg = jpeg_file(ramp(16, 16, 3));
  const auto frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xff\x00\xff\x00", 4);
  EXPECT_THAT(error(jpeg), HasSubstr("65280 x 65280 pixels, more than data.max_pixels = 178956970"));
  EXPECT_THAT(error(with_png_size(png_file(ramp(16, 16, 3)), 20'000, 20'000)), HasSubstr("20000 x 20000 pixels"));
  EXPECT_THAT(error(with_png_size(png_file(ramp(16, 16, 3)), 9'000, 9'000)), HasSubstr("cannot hold 9000 x 9000"));
}

TEST(DecodeImage, HasALimitOfPixelsThatCanBeSet) {
  for (const std::string& file : {jpeg_file(ramp(16, 17, 3)), png_file(ramp(16, 17, 3))}) {
    const auto bytes = std::as_bytes(std::span(file));
    EXPECT_NO_THROW(decode_image(bytes, 3, "x", {.max_pixels = 16 * 17}));
    EXPECT_THAT(error_of<RunError>([&] { decode_image(bytes, 3, "x", {.max_pixels = 16 * 17 - 1}); }),
                HasSubstr("x: 17 x 16 pixels, more than data.max_pixels = 271"));
  }
}

TEST(DecodeImage, ShowsPathsThatAreNotPrintable) {
  EXPECT_THAT(error_of<RunError>([] { decode_image({}, 3, "caf\xe9\x1b.jpg"); }), HasSubstr("caf\\xe9\\x1b.jpg: is"));
}

TEST(DecodeImage, TurnsImagesUpright) {
  const Image stored = ramp(2, 3, 1);
  const auto a = [&](std::size_t i) { return stored.pixels[i]; };
  const std::vector<std::pair<ImageSize, std::vector<std::byte>>> upright = {
      {{2, 3}, {a(0), a(1), a(2), a(3), a(4), a(5)}}, {{2, 3}, {a(2), a(1), a(0), a(5), a(4), a(3)}},
      {{2, 3}, {a(5), a(4), a(3), a(2), a(1), a(0)}}, {{2, 3}, {a(3), a(4), a(5), a(0), a(1), a(2)}},
      {{3, 2}, {a(0), a(3), a(1), a(4), a(2), a(5)}}, {{3, 2}, {a(3), a(0), a(4), a(1), a(5), a(2)}},
      {{3, 2}, {a(5), a(2), a(4), a(1), a(3), a(0)}}, {{3, 2}, {a(2), a(5), a(1), a(4), a(0), a(3)}}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const std::string file = with_exif(png_file(stored, {.color_type = 0}), exif_of(orientation));
    const Image turned = decode(file, 1);
    const auto& [size, pixels] = upright[static_cast<std::size_t>(orientation - 1)];
    EXPECT_EQ((ImageSize{turned.height, turned.width}), size) << orientation;
    EXPECT_EQ(turned.pixels, pixels) << orientation;
    EXPECT_EQ(decode_image(std::as_bytes(std::span(file)), 1, "x", {.upright = false}).pixels, stored.pixels);
  }
}

TEST(DecodeJpeg, StopsAtCountlessScans) {
  std::string jpeg = jpeg_file(ramp(16, 16, 3), 80, true);
  jpeg.resize(jpeg.size() - 2);  // without the end marker
  const std::string scan = jpeg.substr(jpeg.rfind("\xff\xda"));
  for (int i = 0; i < 600; ++i) jpeg += scan;
  // Newer versions of libjpeg refuse the second such scan themselves.
  EXPECT_THAT(error(jpeg + "\xff\xd9"), ContainsRegex("too many scans|premature end"));
}

TEST(DecodeImage, SurvivesAnyDamage) {
  RandomStream random(3);
  const Image colour = ramp(24, 17, 3);
  for (const std::string& whole :
       {jpeg_file(colour, 80), jpeg_file(colour, 80, true), jpeg_file(ramp(24, 17, 4), 80), png_file(colour),
        png_file(colour, {.interlaced = true}), png_file(ramp(24, 17, 1), {.color_type = 3})}) {
    for (int i = 0; i < 400; ++i) {
      std::string bytes = random.below(2) == 0 ? whole : whole.substr(0, 1 + random.below(whole.size()));
      for (auto changes = random.below(4); changes > 0; --changes) {
        bytes[random.below(bytes.size())] = static_cast<char>(random.next());
      }
      try {
        const Image image = decode(bytes, 3);
        EXPECT_EQ(image.pixels.size(), image.height * image.width * 3);
      } catch (const RunError& error) {
        EXPECT_THAT(error.what(), HasSubstr("the/path"));
      }
    }
  }
}

}  // namespace
}  // namespace trainyard
