#include "training/normalize.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(Normalize, IsToTensorThenNormalizePerChannel) {
  const at::Tensor images = at::tensor({0, 51, 255, 102, 153, 204}, at::kByte).view({1, 1, 2, 3});
  const at::Tensor result = Normalize({0.5, 0.25, 0}, {0.5, 0.25, 1}, at::kCPU)(images);
  ASSERT_EQ(result.sizes(), (std::vector<std::int64_t>{1, 3, 1, 2}));
  const at::Tensor expected = at::tensor({(0 - 0.5) / 0.5, (0.4 - 0.5) / 0.5,        //
                                          (0.2 - 0.25) / 0.25, (0.6 - 0.25) / 0.25,  //
                                          1.0, 0.8},
                                         at::kFloat)
                                  .view({1, 3, 1, 2});
  EXPECT_TRUE(at::allclose(result, expected, 1e-6, 1e-6)) << result;
}

TEST(Normalize, TakesFloatSamplesAsTheyAre) {
  const at::Tensor result = Normalize({0.5}, {2}, at::kCPU)(at::full({1, 2, 2, 1}, 1.5F));
  EXPECT_TRUE(at::allclose(result, at::full({1, 1, 2, 2}, 0.5F)));
}

TEST(Normalize, GivesChannelsLastWithoutMovingBytes) {
  const at::Tensor result = Normalize({0, 0, 0}, {1, 1, 1}, at::kCPU)(at::zeros({2, 4, 5, 3}, at::kByte));
  EXPECT_TRUE(result.is_contiguous(at::MemoryFormat::ChannelsLast));
}

}  // namespace
}  // namespace trainyard
