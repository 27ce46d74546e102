#include "check/rules.h"

#include <gtest/gtest.h>

namespace trainyard::rules {
namespace {

TEST(Rules, VersionsAreComparedNumberByNumber) {
  EXPECT_EQ(compare_versions("9.2", "9.10"), -1);
  EXPECT_EQ(compare_versions("9.10.0", "9.10.0"), 0);
  EXPECT_EQ(compare_versions("580.65.06", "580.9"), 1);
  EXPECT_EQ(compare_versions("13.0", "13.0.1"), -1);
  EXPECT_EQ(compare_versions("", ""), 0);
  EXPECT_EQ(compare_versions("x", "y"), 0);
  EXPECT_EQ(compare_versions("99999999999999", "1"), -1) << "no number";
}

TEST(Rules, ProcessesAreNamedLargestFirst) {
  EXPECT_EQ(processes_text({{7, "", 0}, {8, "python", 2ull << 30}}),
            "python 8 holds 2.0 GiB, process 7 holds an unknown amount");
  EXPECT_EQ(processes_text({}), "");
}

}  // namespace
}  // namespace trainyard::rules
