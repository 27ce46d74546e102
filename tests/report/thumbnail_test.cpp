#include "report/thumbnail.h"

#include <gmock/gmock.h>

#include "support/pixel_values.h"

namespace trainyard {
namespace {

using testing::ElementsAre;

TEST(Thumbnail, KeepsTheShapeAndNeverScalesUp) {
  const Image image{10, 400, 1, std::vector<std::byte>(4000, std::byte{9})};
  const Image small = thumbnail(image, 100);
  EXPECT_EQ(small.width, 100u);
  EXPECT_EQ(small.height, 2u);
  EXPECT_EQ(thumbnail(image, 500).width, 400u);
}

TEST(ImageGrid, LaysImagesRowByRow) {
  const auto flat = [](int value) { return Image{1, 1, 1, {static_cast<std::byte>(value)}}; };
  const Image grid = image_grid({flat(1), flat(2), flat(3)}, 2);
  EXPECT_EQ(grid.height, 4u);
  EXPECT_EQ(grid.width, 4u);
  EXPECT_THAT(pixel_values(grid), ElementsAre(1, 32, 32, 2, 32, 32, 32, 32, 32, 32, 32, 32, 3, 32, 32, 32));
}

}  // namespace
}  // namespace trainyard
