#include "images/upright_reader.h"

#include <set>

#include <gtest/gtest.h>

#include "support/image_files.h"

namespace trainyard {
namespace {

TEST(UprightReader, ShrinksOnlyByADivisorOfTheSidesThatAreMirrored) {
  const auto can_shrink = [](ImageSize stored, int orientation) {
    const std::string file = with_exif(jpeg_file(ramp(stored.height, stored.width, 3)), exif_of(orientation));
    return ImageReader::open(std::as_bytes(std::span(file)), "x")->can_shrink(4);
  };
  const std::set<int> mirrors_rows = {3, 4, 6, 7};
  const std::set<int> mirrors_columns = {2, 3, 7, 8};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    EXPECT_TRUE(can_shrink({48, 48}, orientation)) << orientation;
    EXPECT_EQ(can_shrink({50, 48}, orientation), !mirrors_rows.contains(orientation)) << orientation;
    EXPECT_EQ(can_shrink({48, 50}, orientation), !mirrors_columns.contains(orientation)) << orientation;
  }
}

}  // namespace
}  // namespace trainyard
