#include "util/count_of.h"

#include <cstdint>

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(CountOf, OnlyOneIsSingular) {
  EXPECT_EQ(count_of(0, "sample"), "0 samples");
  EXPECT_EQ(count_of(std::uint64_t{1}, "sample"), "1 sample");
  EXPECT_EQ(count_of(std::int64_t{21}, "empty line"), "21 empty lines");
}

TEST(CountOf, TakesAnIrregularPlural) {
  EXPECT_EQ(count_of(1, "class", "classes"), "1 class");
  EXPECT_EQ(count_of(2, "class", "classes"), "2 classes");
}

}  // namespace
}  // namespace trainyard
