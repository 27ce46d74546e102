#include "tasks/ranking.h"

#include <cmath>

#include <gmock/gmock.h>

#include <ATen/ops/rand.h>
#include <ATen/ops/randperm.h>

namespace trainyard {
namespace {

using testing::ElementsAre;

double of_label(const std::vector<float>& scores, const std::vector<float>& positives) {
  return average_precisions(at::tensor(scores).unsqueeze(1), at::tensor(positives).unsqueeze(1)).at(0);
}

TEST(Ranking, AveragePrecisionIsTheMeanPrecisionAtThePositives) {
  EXPECT_DOUBLE_EQ(of_label({0.9F, 0.8F, 0.7F, 0.6F}, {1, 0, 1, 0}), (1 + 2.0 / 3) / 2);
  EXPECT_DOUBLE_EQ(of_label({0.6F, 0.7F, 0.8F, 0.9F}, {1, 1, 0, 0}), (1.0 / 3 + 2.0 / 4) / 2);
  EXPECT_DOUBLE_EQ(of_label({3, -1, 2}, {1, 0, 1}), 1);
}

TEST(Ranking, SamplesOfEqualScoresShareAThreshold) {
  EXPECT_DOUBLE_EQ(of_label({1, 1, 1, 1}, {1, 0, 0, 0}), 0.25);
  EXPECT_DOUBLE_EQ(of_label({2, 1, 1, 0}, {1, 0, 1, 1}), (1 + 2.0 / 3 + 3.0 / 4) / 3);
}

TEST(Ranking, RocAucIsTheShareOfPairsInOrder) {
  const auto auc = [](const std::vector<float>& scores, const std::vector<float>& positives) {
    return roc_aucs(at::tensor(scores).unsqueeze(1), at::tensor(positives).unsqueeze(1)).at(0);
  };
  EXPECT_DOUBLE_EQ(auc({0.9F, 0.8F, 0.7F, 0.6F}, {1, 0, 1, 0}), 3.0 / 4);
  EXPECT_DOUBLE_EQ(auc({0.1F, 0.2F, 0.9F}, {1, 0, 0}), 0);
  EXPECT_DOUBLE_EQ(auc({1, 1, 1}, {1, 0, 0}), 0.5);
  EXPECT_TRUE(std::isnan(auc({1, 2, 3}, {1, 1, 1})));
  EXPECT_TRUE(std::isnan(auc({1, 2, 3}, {0, 0, 0})));
}

TEST(Ranking, DoesNotDependOnTheOrderOfSamples) {
  const at::Tensor scores = (at::rand({200, 3}) * 20).floor();  // with many ties
  const at::Tensor positives = at::rand({200, 3}).lt(0.3).to(at::kFloat);
  const at::Tensor order = at::randperm(200, at::kLong);
  const at::Tensor other_scores = scores.index_select(0, order);
  const at::Tensor other_positives = positives.index_select(0, order);
  EXPECT_EQ(average_precisions(scores, positives), average_precisions(other_scores, other_positives));
  EXPECT_EQ(roc_aucs(scores, positives), roc_aucs(other_scores, other_positives));
}

TEST(Ranking, ClassesWithoutPositivesAreLeftOutOfTheMean) {
  const at::Tensor scores = at::tensor({0.9F, 0.1F, 0.2F, 0.8F}).view({2, 2});
  const at::Tensor positives = at::tensor({0.0F, 0.0F, 0.0F, 1.0F}).view({2, 2});
  const std::vector<double> precisions = average_precisions(scores, positives);
  EXPECT_TRUE(std::isnan(precisions[0]));
  EXPECT_EQ(macro_average(precisions), 1);
  EXPECT_EQ(macro_average(average_precisions(scores, at::zeros({2, 2}))), std::nullopt);
  EXPECT_EQ(macro_average(average_precisions(at::zeros({0, 2}), at::zeros({0, 2}))), std::nullopt);
}

}  // namespace
}  // namespace trainyard
