#include "training/classification_report.h"

#include <gmock/gmock.h>

#include <ATen/ops/one_hot.h>

#include "models/model_module.h"
#include "support/checkable_pool.h"

namespace trainyard {
namespace {

TEST(ClassScores, CountsWhatWasRightAndWhatWasTakenForAClass) {
  ClassificationReport evaluation;
  evaluation.classes = 4;
  evaluation.confusion = {{{0, 0}, 6}, {{0, 1}, 2}, {{1, 1}, 3}, {{2, 1}, 1}};
  const std::vector<ClassScores> scores = class_scores(evaluation);
  ASSERT_EQ(scores.size(), 4u);
  EXPECT_EQ(scores[0].samples, 8);
  EXPECT_DOUBLE_EQ(*scores[0].recall, 0.75);
  EXPECT_DOUBLE_EQ(*scores[0].precision, 1);
  EXPECT_DOUBLE_EQ(*scores[1].precision, 0.5);
  EXPECT_DOUBLE_EQ(*scores[1].f1, 2 * 1 * 0.5 / 1.5);
  EXPECT_DOUBLE_EQ(*scores[2].recall, 0);
  EXPECT_FALSE(scores[2].precision) << "nothing was taken for it";
  EXPECT_FALSE(scores[3].recall) << "there is none of it";
  EXPECT_FALSE(scores[3].f1);
}

// Says the class of the first pixel's value plus one, surer the brighter it is.
class NextClass : public ModelModule {
 public:
  TensorDict forward(const TensorDict& batch) override {
    const at::Tensor value = (batch.at("image").select(1, 0).select(1, 0).select(1, 0) * 255).round();
    const at::Tensor guess = value.add(1).remainder(5).to(at::kLong);
    return {{"logits", at::one_hot(guess, 5).to(at::kFloat) * (1 + value.unsqueeze(1))}};
  }
};

TEST(EvaluateSamples, FindsTheWorstMistakesAndAgreesWithTheCounts) {
  WorkerPool pool({.workers = 0, .batch_size = 4}, checkable(1, 11));
  DataLoader loader(pool, Split::val);
  std::vector<std::int64_t> labels;
  loader.start_epoch(0);
  while (const std::optional<Batch> batch = loader.next()) {
    const std::span<const std::int64_t> part = batch->field("label").as<std::int64_t>();
    labels.insert(labels.end(), part.begin(), part.end());
  }
  NextClass model;
  DeviceLoader batches(pool, Split::val, {}, at::kCPU);
  const Normalize normalize({0}, {1}, at::kCPU);
  const ClassificationReport result = classification_report(model, batches, normalize, Precision::fp32, /*worst=*/3);
  EXPECT_EQ(result.samples, 11);
  EXPECT_EQ(result.classes, 5);
  EXPECT_EQ(result.top5, 1);
  std::int64_t counted = 0;
  std::int64_t right = 0;
  for (const auto& [pair, count] : result.confusion) {
    counted += count;
    if (pair.first == pair.second) right += count;
  }
  EXPECT_EQ(counted, 11);
  EXPECT_DOUBLE_EQ(result.top1, static_cast<double>(right) / 11);
  ASSERT_LE(result.worst.size(), 3u);
  ASSERT_GE(result.worst.size(), 1u);
  double before = 0;
  for (const Mistake& mistake : result.worst) {
    EXPECT_NE(mistake.label, mistake.guess);
    EXPECT_EQ(mistake.label, labels[static_cast<std::size_t>(mistake.index)]);
    EXPECT_GE(mistake.guess_probability, mistake.label_probability);
    const double ratio = mistake.label_probability;
    EXPECT_GE(ratio, before) << "the least probable label comes first";
    before = ratio;
  }
}

}  // namespace
}  // namespace trainyard
