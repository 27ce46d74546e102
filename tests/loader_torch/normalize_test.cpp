#include "loader_torch/normalize.h"

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>

#include "support/precision_of.h"
#include "training/precision.h"

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

TEST(Normalize, ChoosesAndMirrorsWhatItIsAskedFor) {
  const at::Tensor images = at::arange(2 * 2 * 3 * 3, at::kByte).view({2, 2, 3, 3});
  const Normalize normalize({0.5, 0.25, 0}, {0.5, 0.25, 1}, at::kCPU);
  const at::Tensor all = normalize(images);
  const at::Tensor result =
      normalize(images, {.indices = at::tensor({1L, 0L, 1L}), .mirrored = at::tensor({0, 1, 1}).to(at::kBool)});
  EXPECT_TRUE(result.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(at::equal(result, at::stack({all[1], all[0].flip(2), all[1].flip(2)})));
  EXPECT_TRUE(at::equal(normalize(images, {.mirrored = at::tensor({1, 0}).to(at::kBool)}),
                        at::stack({all[0].flip(2), all[1]})));
}

TEST(Normalize, RoundsToTheTypeOfAutocast) {
  at::manual_seed(1);
  for (const at::Device device : {at::Device(at::kCPU), at::Device(at::kCUDA, 0)}) {
    if (device.is_cuda() && !at::hasCUDA()) continue;
    for (const std::int64_t channels : {1, 3, 4}) {
      const Normalize normalize(std::vector<float>(channels, 0.4F), std::vector<float>(channels, 0.3F), device);
      for (const at::Tensor& images :
           {at::randint(0, 256, {5, 9, 7, channels}, at::kByte).to(device), at::rand({5, 9, 7, channels}).to(device)}) {
        const at::Tensor exact = normalize(images);
        for (const at::ScalarType type : {at::kHalf, at::kBFloat16}) {
          const Autocast autocast(precision_of(type), device.type());
          const at::Tensor result = normalize(images);
          EXPECT_EQ(result.scalar_type(), type);
          EXPECT_TRUE(result.is_contiguous(at::MemoryFormat::ChannelsLast));
          EXPECT_TRUE(at::equal(result, exact.to(type)));
        }
      }
    }
  }
}

TEST(Normalize, OnAGpuRoundsOnceAndChoosesAndMirrorsAsOnTheCpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
  at::manual_seed(1);
  for (const std::int64_t channels : {1, 2, 3, 4, 5}) {
    const at::Tensor mean = at::rand({channels});
    const at::Tensor std = at::rand({channels}) + 0.1;
    const auto values = [](const at::Tensor& t) {
      return std::vector<float>(t.data_ptr<float>(), t.data_ptr<float>() + t.numel());
    };
    const Normalize on_gpu(values(mean), values(std), at::kCUDA);
    const at::Tensor scale = (1 / std.to(at::kDouble)).to(at::kFloat);
    const at::Tensor shift = (-mean.to(at::kDouble) / std.to(at::kDouble)).to(at::kFloat);
    for (const auto& [height, width] : {std::pair{1, 1}, {7, 5}, {28, 28}, {65, 130}}) {
      const Selection selection{.indices = at::randint(0, 9, {21}, at::kLong), .mirrored = at::rand({21}) < 0.5};
      const Selection selection_on_gpu{.indices = selection.indices.cuda(), .mirrored = selection.mirrored.cuda()};
      for (const bool bytes : {true, false}) {
        const at::Tensor images = bytes ? at::randint(0, 256, {9, height, width, channels}, at::kByte)
                                        : at::rand({9, height, width, channels});
        const at::Tensor chosen = images.index_select(0, selection.indices);
        const at::Tensor mirrored = at::where(selection.mirrored.view({-1, 1, 1, 1}), chosen.flip(2), chosen);
        const auto exact = [&](const at::Tensor& of) {
          return (of.to(at::kDouble) * (bytes ? scale / 255 : scale).to(at::kDouble) + shift.to(at::kDouble))
              .to(at::kFloat)
              .permute({0, 3, 1, 2});
        };
        // In float64 the product and the sum are exact for bytes; for floats, the result is rounded twice.
        const auto expect_same = [&](const at::Tensor& result, const at::Tensor& expected) {
          EXPECT_TRUE(result.is_contiguous(at::MemoryFormat::ChannelsLast));
          EXPECT_TRUE(bytes ? at::equal(result.cpu(), expected) : at::allclose(result.cpu(), expected, 2e-7, 2e-7));
        };
        expect_same(on_gpu(images.cuda()), exact(images));
        expect_same(on_gpu(images.cuda(), selection_on_gpu), exact(mirrored));
        expect_same(on_gpu(images.cuda(), {.indices = selection_on_gpu.indices}), exact(chosen));
      }
    }
  }
}

TEST(Normalize, GpuKernelMatchesOperatorsUpToRounding) {
  if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
  const at::Tensor images = at::randint(0, 256, {64, 32, 32, 3}, at::TensorOptions(at::kCUDA).dtype(at::kByte));
  const Normalization normalization{.scale = at::full({3}, 0.0157F, at::kCUDA),
                                    .shift = at::full({3}, -1.93F, at::kCUDA)};
  const at::Tensor difference =
      normalize_images(images, normalization, {}) - normalize_by_operators(images, normalization, {});
  EXPECT_LE(difference.abs().max().item<float>(), 2.4e-7);  // an ulp of values from 2 to 4
}

}  // namespace
}  // namespace trainyard
