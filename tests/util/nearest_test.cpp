#include "util/nearest.h"

#include <gmock/gmock.h>

namespace trainyard {
namespace {

TEST(EditDistance, CountsSingleEdits) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("resnet18", "resnet18"), 0u);
}

TEST(NearestFirst, PutsTheLikelyMeaningFirst) {
  EXPECT_THAT(nearest_first("resnet81", {"convnet", "resnet50", "resnet18"}),
              testing::ElementsAre("resnet50", "resnet18", "convnet"));
  EXPECT_THAT(nearest_first("convnte", {"resnet18", "convnet"}), testing::ElementsAre("convnet", "resnet18"));
  EXPECT_THAT(nearest_first("AdamW", {"sgd", "adamw"}), testing::ElementsAre("adamw", "sgd"));
}

}  // namespace
}  // namespace trainyard
