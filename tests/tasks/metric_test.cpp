#include "tasks/metric.h"

#include <cmath>

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

Metric accuracy() {
  return ratio("accuracy", [](const MetricInput& input) {
    const at::Tensor right = input.outputs.at("guess").eq(input.batch.at("label")).to(at::kDouble);
    return std::pair(right.sum(), at::full({}, static_cast<double>(right.numel())));
  });
}

at::Tensor batch_sums(const MetricSet& metrics, double loss_sum, const std::vector<std::int64_t>& guesses,
                      const std::vector<std::int64_t>& labels) {
  const auto count = static_cast<std::int64_t>(labels.size());
  return metrics.sums_of({{"guess", at::tensor(guesses, at::kLong)}}, {{"label", at::tensor(labels, at::kLong)}},
                         {at::scalar_tensor(loss_sum), at::scalar_tensor(static_cast<double>(count))}, count);
}

TEST(Loss, MeanOfNothingIsZero) {
  EXPECT_EQ(Loss({at::scalar_tensor(0.0), at::scalar_tensor(0.0)}).mean().item<double>(), 0);
  EXPECT_EQ(Loss({at::scalar_tensor(3.0), at::scalar_tensor(2.0)}).mean().item<double>(), 1.5);
}

TEST(MetricSums, WeighBatchesByTheirSize) {
  const MetricSet metrics({accuracy()});
  MetricSums sums(metrics, at::kCPU);
  sums.add(batch_sums(metrics, 3, {0, 1, 0}, {0, 1, 1}));
  sums.add(batch_sums(metrics, 5, {0}, {0}));
  EXPECT_THAT(sums.values(), ElementsAre(Pair("loss", 2), Pair("accuracy", 0.75)));
  EXPECT_EQ(sums.samples(), 4);
  EXPECT_THAT(metrics.names(), ElementsAre("loss", "accuracy"));
  sums.reset();
  EXPECT_EQ(sums.samples(), 0);
}

TEST(MetricSums, CountABatchWhoseLossIsNotFinite) {
  const MetricSet metrics({accuracy()});
  MetricSums sums(metrics, at::kCPU);
  sums.add(batch_sums(metrics, 3, {0, 1, 0}, {0, 1, 1}));
  sums.add(batch_sums(metrics, std::nan(""), {1, 1}, {1, 1}));
  sums.add(batch_sums(metrics, HUGE_VAL, {1, 1}, {1, 1}));
  EXPECT_THAT(sums.values(), ElementsAre(Pair("loss", testing::Optional(testing::IsNan())), Pair("accuracy", 6.0 / 7)));
  EXPECT_EQ(sums.samples(), 7);
}

TEST(MetricSums, ContinueFromTheirState) {
  const MetricSet metrics({accuracy()});
  MetricSums first(metrics, at::kCPU);
  first.add(batch_sums(metrics, 0.1, {0, 1, 0}, {0, 1, 1}));
  MetricSums second(metrics, at::kCPU);
  const NamedTensors state = second.state();
  for (std::size_t i = 0; i < state.size(); ++i) {
    EXPECT_EQ(state[i].first, first.state()[i].first);
    state[i].second.copy_(first.state()[i].second);
  }
  for (MetricSums* const sums : {&first, &second}) sums->add(batch_sums(metrics, 0.7, {1}, {1}));
  EXPECT_EQ(first.values(), second.values());
  EXPECT_EQ(second.samples(), 4);
}

TEST(MetricSet, NamesTheFunctionThatAMetricLacks) {
  Metric metric = ratio("hits", [](const MetricInput&) { return std::pair(at::zeros({}), at::zeros({})); });
  metric.values = nullptr;
  EXPECT_THAT(error_of<RunError>([&] { MetricSet({metric}); }), HasSubstr("[task] the metric 'hits' lacks values"));
  EXPECT_THAT(error_of<RunError>([&] { MetricSet(std::vector<Metric>{{.name = "misses", .sums = {}, .values = {}}}); }),
              HasSubstr("'misses' lacks sums"));
}

TEST(MetricSet, NamesWhatHasAnotherShapeThanDeclared) {
  const auto error = [](const MetricSet& metrics, const at::Tensor& loss) {
    return error_of<RunError>([&] { metrics.sums_of({}, {}, {loss, at::scalar_tensor(3.0)}, 3); });
  };
  const at::Tensor scalar = at::scalar_tensor(1.0);
  EXPECT_THAT(error(MetricSet({}), at::zeros({3})), HasSubstr("the sum of loss() is a tensor of [3]; return a scalar"));
  EXPECT_THAT(error(MetricSet({}), {}), HasSubstr("the sum of loss() is undefined"));
  const Metric vector = ratio("hits", [&](const MetricInput&) { return std::pair(at::zeros({3}), scalar); });
  EXPECT_THAT(error(MetricSet({vector}), scalar), HasSubstr("the numerator of the metric 'hits' is a tensor of [3]"));
  Metric larger = ratio("hits", [&](const MetricInput&) { return std::pair(scalar, scalar); });
  larger.size = 4;
  EXPECT_THAT(error(MetricSet({larger}), scalar), HasSubstr("'hits' returns sums of [2]; its size is 4"));
}

TEST(MetricSet, OfNothingHasNoValues) {
  const MetricSet metrics({accuracy()});
  EXPECT_THAT(MetricSums(metrics, at::kCPU).values(),
              ElementsAre(Pair("loss", std::nullopt), Pair("accuracy", std::nullopt)));
}

TEST(MetricSet, PassesOnTheWarningsOfItsMetrics) {
  Metric strict = accuracy();
  strict.warning = [](std::span<const double> sums) { return sums[0] < sums[1] ? "not all are right" : ""; };
  const MetricSet metrics({accuracy(), strict});
  EXPECT_THAT(metrics.warnings(batch_sums(metrics, 3, {0, 1}, {0, 0})), ElementsAre("not all are right"));
  EXPECT_THAT(metrics.warnings(batch_sums(metrics, 3, {0, 1}, {0, 1})), ElementsAre());
}

}  // namespace
}  // namespace trainyard
