#include "util/first_few.h"

#include <vector>

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(FirstFew, ListsAllUpToTheLimit) {
  EXPECT_EQ(first_few(std::vector<int>{}, 2), "");
  EXPECT_EQ(first_few(std::vector{17, 4}, 2), "17, 4");
}

TEST(FirstFew, CountsTheRest) {
  EXPECT_EQ(first_few(std::vector<std::string>{"a", "b", "c", "d"}, 2), "a, b, and 2 more");
}

}  // namespace
}  // namespace trainyard
