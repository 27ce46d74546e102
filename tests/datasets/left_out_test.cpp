#include "datasets/left_out.h"

#include <gmock/gmock.h>

namespace trainyard {
namespace {

using testing::ElementsAre;

TEST(LeftOut, CountsByReasonAndNamesTheFirst) {
  std::vector<LeftOut> all;
  for (const char* name : {"a", "b", "c", "d"}) leave_out(all, "dangling link", name);
  leave_out(all, litter_reason, "._a");
  EXPECT_THAT(all, ElementsAre(LeftOut{"dangling link", 4, {"a", "b", "c"}}, LeftOut{"litter", 1, {"._a"}}));
}

TEST(LeftOut, IsListedInWordsThatFitAnyNumber) {
  std::vector<LeftOut> all;
  for (const char* name : {"a", "b", "c", "d"}) leave_out(all, "sample with a dot in its key", name);
  leave_out(all, litter_reason, "._a");
  leave_out(all, "dangling link", "e");
  EXPECT_EQ(list_left_out(all), "sample with a dot in its key: 4 (a, b, c, ...); dangling link: 1 (e)");
  EXPECT_EQ(list_left_out({}), "");
}

}  // namespace
}  // namespace trainyard
