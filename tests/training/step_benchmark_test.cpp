#include "training/step_benchmark.h"

#include <gtest/gtest.h>

#include "support/configured.h"

namespace trainyard {
namespace {

SplitInfo images_of_10_classes() {
  SplitInfo data;
  data.fields = {{.name = "image", .shape = {8, 12, 3}},
                 {.name = "label", .dtype = DType::int64, .values = ValueRange{.count = 10}}};
  data.padded = {false, false};
  data.class_names.assign(10, "class");
  data.size = 100;
  return data;
}

TEST(RandomBatch, HasTheFieldsOfTheDataWithAllowedValues) {
  SplitInfo data = images_of_10_classes();
  data.fields.push_back({.name = "target", .dtype = DType::float32});
  data.padded.push_back(false);
  const DeviceBatch batch = random_batch(data, 200, at::kCPU);
  EXPECT_EQ(batch.count, 200);
  const at::Tensor& image = batch.field("image").data;
  EXPECT_EQ(image.sizes(), (std::vector<std::int64_t>{200, 8, 12, 3}));
  EXPECT_EQ(image.scalar_type(), at::kByte);
  EXPECT_GT(image.max().item<int>(), 250);
  const at::Tensor& label = batch.field("label").data;
  EXPECT_EQ(label.scalar_type(), at::kLong);
  EXPECT_EQ(label.min().item<int>(), 0);
  EXPECT_EQ(label.max().item<int>(), 9);
  EXPECT_EQ(batch.field("target").data.sizes(), std::vector<std::int64_t>{200});
  EXPECT_EQ(batch.field("target").data.scalar_type(), at::kFloat);
}

TEST(RandomBatch, GivesSamplesThatVaryTheirMaximumLength) {
  SplitInfo data;
  data.fields = {{.name = "padded", .dtype = DType::int32, .shape = {5, 2}, .varies = true},
                 {.name = "joined", .dtype = DType::int32, .shape = {7}, .varies = true}};
  data.padded = {true, false};
  const DeviceBatch batch = random_batch(data, 3, at::kCPU);
  EXPECT_EQ(batch.field("padded").data.sizes(), (std::vector<std::int64_t>{3, 5, 2}));
  EXPECT_EQ(batch.field("joined").data.sizes(), std::vector<std::int64_t>{21});
  EXPECT_TRUE(at::equal(batch.field("joined").rows, at::full({3}, 7, at::kLong)));
  EXPECT_TRUE(at::equal(batch.field("joined").begins, at::tensor({0, 7, 14, 21}, at::kLong)));
}

TEST(StepBenchmark, TrainsTheModelForAllBatchesOfAStep) {
  const Config config =
      configured("--loader.batch_size 6 --train.accumulate 3 --train.ema_decay 0.9 --task.classification.mixup 0.4");
  ProcessGroup alone;
  StepBenchmark benchmark(config, images_of_10_classes(), at::kCPU, alone);
  EXPECT_EQ(benchmark.samples(), 18);
  const at::Tensor before = benchmark.model().parameters().front().detach().clone();
  EXPECT_GT(benchmark.run(2), 0);
  EXPECT_FALSE(at::equal(benchmark.model().parameters().front().detach(), before));
}

}  // namespace
}  // namespace trainyard
