#include "util/device_list.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

using Indices = std::vector<int>;

TEST(DeviceList, ReadsIndicesInTheirOrder) {
  EXPECT_EQ(device_list("cuda:0"), Indices{0});
  EXPECT_EQ(device_list("cuda:1023"), Indices{1023});
  EXPECT_EQ(device_list("cuda:2,0,11"), (Indices{2, 0, 11}));
}

TEST(DeviceList, IsNothingForOtherTexts) {
  for (const char* text :
       {"", "auto", "cpu", "cuda", "cuda:", "cuda:,", "cuda:0,", "cuda:,0", "cuda:0,,1", "cuda:-1", "cuda:+1",
        "cuda:1024", "cuda:0 ", "cuda: 0", "cuda:0;1", "cuda:0,cuda:1", "CUDA:0", "0,1"}) {
    EXPECT_EQ(device_list(text), std::nullopt) << text;
  }
}

TEST(DeviceList, RefusesAGpuThatStandsTwice) {
  EXPECT_EQ(device_list("cuda:1,1"), std::nullopt);
  EXPECT_EQ(device_list("cuda:0,1,00"), std::nullopt);
}

}  // namespace
}  // namespace trainyard
