#include "check/architectures.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

using Names = std::vector<std::string>;

TEST(Architectures, MachineCodeServesTheSameMajorAndHigherMinors) {
  EXPECT_TRUE(serves({"sm_60"}, 6, 1));
  EXPECT_TRUE(serves({"sm_86"}, 8, 9));
  EXPECT_TRUE(serves({"sm_100"}, 10, 3));
  EXPECT_FALSE(serves({"sm_86"}, 8, 0));
  EXPECT_FALSE(serves({"sm_80"}, 9, 0));
  EXPECT_FALSE(serves({"sm_100"}, 12, 0));
}

TEST(Architectures, PtxServesAllNewerGpus) {
  EXPECT_TRUE(serves({"compute_80"}, 12, 0));
  EXPECT_FALSE(serves({"compute_80"}, 7, 5));
}

TEST(Architectures, SuffixANeedsExactlyThatGpuAndFItsFamily) {
  EXPECT_TRUE(serves({"sm_90a"}, 9, 0));
  EXPECT_FALSE(serves({"sm_100a"}, 10, 3));
  EXPECT_TRUE(serves({"sm_100f"}, 10, 3));
  EXPECT_FALSE(serves({"sm_100f"}, 12, 0));
}

TEST(Architectures, UnreadableWordsServeNothing) {
  EXPECT_FALSE(serves({"", "sm_", "sm_x", "sm_-90", "sm_90ab", "gfx90a", "sm_99999999999999"}, 9, 0));
}

TEST(Architectures, AreReadFromCompilerFlags) {
  EXPECT_EQ(architectures_in_flags("-x -gencode arch=compute_75,code=sm_75 -gencode;arch=compute_90a,code=sm_90a;"),
            (Names{"sm_75", "sm_90a"}));
  EXPECT_EQ(architectures_in_flags("-gencode=arch=compute_80,code=[compute_80,sm_80] code=sm_80"),
            (Names{"compute_80", "sm_80"}));
  EXPECT_EQ(architectures_in_flags("code=[sm_80"), Names{"sm_80"});
  EXPECT_EQ(architectures_in_flags("code=sm_90;-gencode;arch=compute_120,code=sm_120\n  - CuDNN"),
            (Names{"sm_90", "sm_120"}));
  EXPECT_EQ(architectures_in_flags("code="), Names{});
}

TEST(Architectures, AreReadFromCMakesList) {
  EXPECT_EQ(architectures_of_cmake("80 90a-real 120-virtual native"),
            (Names{"sm_80", "compute_80", "sm_90a", "compute_120"}));
  EXPECT_EQ(architectures_of_cmake(""), Names{});
}

TEST(Architectures, OldestAndReadableForm) {
  EXPECT_EQ(oldest({"sm_90", "sm_75", "x"}), 75);
  EXPECT_EQ(oldest({}), 0);
  EXPECT_EQ(readable({"sm_75", "sm_90", "compute_90", "sm_120f"}), "7.5 9.0+PTX 12.0f");
  EXPECT_EQ(readable({}), "none");
}

}  // namespace
}  // namespace trainyard
