#include "images/exif.h"

#include <gtest/gtest.h>

#include "support/image_files.h"
#include "util/random.h"

namespace trainyard {
namespace {

int orientation_of(const std::string& file) { return exif_orientation(std::as_bytes(std::span(file))); }

std::vector<std::string> both_formats() { return {jpeg_file(ramp(8, 12, 3)), png_file(ramp(8, 12, 3))}; }

TEST(Exif, ReadsTheOrientationInEitherByteOrder) {
  for (const std::string& file : both_formats()) {
    EXPECT_EQ(orientation_of(file), 1);
    for (int orientation = 1; orientation <= 8; ++orientation) {
      for (const bool big_endian : {false, true}) {
        EXPECT_EQ(orientation_of(with_exif(file, exif_of(orientation, big_endian))), orientation);
      }
    }
  }
}

TEST(Exif, FindsItBehindOtherSegmentsAndPadding) {
  const std::string file = with_exif(jpeg_file(ramp(8, 12, 3)), exif_of(6));
  const std::string xmp = std::string("\xff\xe1\x00\x09", 4) + "http://";
  EXPECT_EQ(orientation_of(file.substr(0, 2) + xmp + "\xff\xff" + file.substr(2)), 6);
}

TEST(Exif, TakesUnsoundDataAsUpright) {
  std::string two_values = exif_of(6);
  two_values[two_values.find("\x12\x01") + 4] = 2;  // the number of values
  for (const std::string& file : both_formats()) {
    for (const int orientation : {0, 9, 255}) EXPECT_EQ(orientation_of(with_exif(file, exif_of(orientation))), 1);
    for (const std::string& exif : {std::string(), std::string("II"), std::string("XX*\0\x08\0\0\0", 8),
                                    std::string("II*\0\xff\xff\xff\xff", 8), exif_of(6).substr(0, 24), two_values}) {
      EXPECT_EQ(orientation_of(with_exif(file, exif)), 1);
    }
  }
  EXPECT_EQ(orientation_of(""), 1);
  EXPECT_EQ(orientation_of("\xff\xd8\xff"), 1);
  EXPECT_EQ(orientation_of("\x89PNG"), 1);
}

// Each input has its own allocation, so the address sanitizer detects reads outside of it.
TEST(Exif, ReadsNothingOutsideOfTheFile) {
  RandomStream random(3);
  for (const std::string& file : both_formats()) {
    const std::string whole = with_exif(file, exif_of(6));
    for (int i = 0; i < 5'000; ++i) {
      std::vector<std::byte> bytes;
      for (const char c : whole.substr(0, 1 + random.below(whole.size()))) bytes.push_back(static_cast<std::byte>(c));
      for (auto changes = random.below(4); changes > 0; --changes) {
        bytes[random.below(bytes.size())] = static_cast<std::byte>(random.next());
      }
      const int orientation = exif_orientation(bytes);
      ASSERT_GE(orientation, 1);
      ASSERT_LE(orientation, 8);
    }
  }
}

}  // namespace
}  // namespace trainyard
