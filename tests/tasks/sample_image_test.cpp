#include "tasks/sample_image.h"

#include <cmath>

#include <gmock/gmock.h>

#include "support/pixel_values.h"

namespace trainyard {
namespace {

using testing::ElementsAre;

DeviceField field(const at::Tensor& data) { return {.name = "image", .data = data}; }

TEST(SampleImage, ShowsColoursAsTheyAreAndTheFirstOfOtherChannels) {
  const at::Tensor bytes = at::tensor({1, 2, 3, 4, 5, 6}, at::kByte);
  EXPECT_THAT(pixel_values(sample_image(field(bytes.view({1, 1, 2, 3})), 0)), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(pixel_values(sample_image(field(bytes.view({1, 1, 3, 2})), 0)), ElementsAre(1, 3, 5));
  EXPECT_THAT(pixel_values(sample_image(field(bytes.view({2, 1, 3, 1})), 1)), ElementsAre(4, 5, 6));
}

TEST(SampleImage, TakesFloatsAsZeroToOne) {
  const at::Tensor floats = at::tensor({-1.F, 0.5F, 7.F, std::nanf("")}).view({1, 2, 2, 1});
  EXPECT_THAT(pixel_values(sample_image(field(floats), 0)), ElementsAre(0, 128, 255, 0));
}

TEST(SampleImage, FollowsTheSelectionOfAResidentSplit) {
  DeviceField images = field(at::tensor({1, 2, 3, 4}, at::kByte).view({2, 1, 2, 1}));
  images.selection = {.indices = at::tensor({1, 0}, at::kLong),
                      .mirrored = at::tensor({1, 0}, at::kByte).to(at::kBool)};
  EXPECT_THAT(pixel_values(sample_image(images, 0)), ElementsAre(4, 3));
  EXPECT_THAT(pixel_values(sample_image(images, 1)), ElementsAre(1, 2));
}

}  // namespace
}  // namespace trainyard
