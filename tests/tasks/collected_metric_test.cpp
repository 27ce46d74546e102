#include "tasks/collected_metric.h"

#include <cmath>

#include <gmock/gmock.h>

#include <ATen/ops/cat.h>

#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

// The median of all values, which is not a sum.
CollectedMetric median(const std::string& output) {
  return {.name = output,
          .rows = [output](const MetricInput& input) { return input.outputs.at(output).unsqueeze(1); },
          .values = [output](const at::Tensor& rows) -> MetricValues {
            return {{output + "_median", rows.size(0) == 0 ? 0 : rows.median().item<double>()},
                    {output + "_rows", static_cast<double>(rows.size(0))}};
          }};
}

at::Tensor batch_rows(const CollectedMetrics& metrics, const std::vector<float>& values, double loss = 1) {
  const at::Tensor output = at::tensor(values);
  return metrics.rows_of({{"a", output}, {"b", -output}}, {}, {at::scalar_tensor(loss), at::scalar_tensor(1.0)},
                         output.size(0));
}

TEST(CollectedMetrics, AreComputedFromAllRows) {
  const CollectedMetrics metrics({median("a"), median("b")});
  EXPECT_EQ(metrics.columns(), 3);
  EXPECT_THAT(metrics.names(), ElementsAre("a_median", "a_rows", "b_median", "b_rows"));
  const at::Tensor rows = at::cat({batch_rows(metrics, {1, 9}), batch_rows(metrics, {2, 8, 3})});
  EXPECT_THAT(metrics.values(rows),
              ElementsAre(Pair("a_median", 3), Pair("a_rows", 5), Pair("b_median", -3), Pair("b_rows", 5)));
}

TEST(CollectedMetrics, HaveNoValuesIfTheLossOfABatchIsNotFinite) {
  const CollectedMetrics metrics({median("a")});
  const auto values = [&](double loss) {
    return metrics.values(at::cat({batch_rows(metrics, {1, 2, 3}), batch_rows(metrics, {7, 8}, loss)}));
  };
  EXPECT_THAT(values(1), ElementsAre(Pair("a_median", 3), Pair("a_rows", 5)));
  for (const double loss : {std::nan(""), HUGE_VAL}) {
    EXPECT_THAT(values(loss), ElementsAre(Pair("a_median", std::nullopt), Pair("a_rows", std::nullopt)));
  }
}

TEST(CollectedMetrics, OfATaskWithoutAnyTakeNoMemory) {
  const CollectedMetrics metrics({});
  EXPECT_TRUE(metrics.empty());
  EXPECT_EQ(metrics.columns(), 0);
  EXPECT_THAT(metrics.names(), ElementsAre());
  EXPECT_THAT(metrics.values(at::zeros({5, 0})), ElementsAre());
  metrics.require_memory(std::uint64_t{1} << 60);
}

TEST(CollectedMetrics, RefuseASplitThatTakesTooMuchMemory) {
  CollectedMetric wide = median("a");
  wide.columns = 1023;  // a row of 4 KiB
  const CollectedMetrics metrics({wide});
  metrics.require_memory(1 << 18);
  EXPECT_THAT(error_of<UsageError>([&] { metrics.require_memory((1 << 18) + 1); }),
              AllOf(HasSubstr("a needs 1024 numbers for each of the 262145 samples"), HasSubstr("at most 1 GiB")));
  EXPECT_THAT(error_of<UsageError>([&] { metrics.require_memory(std::uint64_t{1} << 60); }), HasSubstr("GiB"));
}

TEST(CollectedMetrics, NamesTheFunctionThatAMetricLacks) {
  EXPECT_THAT(error_of<RunError>([] {
                CollectedMetrics(std::vector<CollectedMetric>{{.name = "ranking", .rows = {}, .values = {}}});
              }),
              testing::HasSubstr("[task] the collected metric 'ranking' lacks rows"));
}

}  // namespace
}  // namespace trainyard
