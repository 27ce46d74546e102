#include "training/require_shapes.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

bool fit(const Field& trained, const Field& field) {
  return have_shapes_of(std::vector<Field>{trained}, std::vector<Field>{{.name = "id"}, field});
}

TEST(HaveShapesOf, NeedsEachFieldWithItsTypeAndShape) {
  const Field image{.name = "image", .shape = {8, 8, 3}};
  EXPECT_TRUE(fit(image, image));
  EXPECT_FALSE(fit(image, {.name = "mask", .shape = {8, 8, 3}}));
  EXPECT_FALSE(fit(image, {.name = "image", .shape = {8, 12, 3}}));
  EXPECT_FALSE(fit(image, {.name = "image", .shape = {8, 8}}));
  EXPECT_FALSE(fit(image, {.name = "image", .dtype = DType::float32, .shape = {8, 8, 3}}));
}

TEST(HaveShapesOf, AllowsOtherLengthsOfSamplesThatVary) {
  const Field words{.name = "words", .dtype = DType::int32, .shape = {9, 2}, .varies = true};
  EXPECT_TRUE(fit(words, {.name = "words", .dtype = DType::int32, .shape = {20, 2}, .varies = true}));
  EXPECT_FALSE(fit(words, {.name = "words", .dtype = DType::int32, .shape = {9, 3}, .varies = true}));
}

}  // namespace
}  // namespace trainyard
