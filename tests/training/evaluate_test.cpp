#include "training/evaluate.h"

#include <cmath>

#include <gmock/gmock.h>

#include "loader/open_pool.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "training/trained_model.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

ProcessGroup alone;

struct Evaluated {
  Scores scores;
  std::vector<std::string> names;
};

// Evaluates a model with random weights on 40 samples of val.
Evaluated evaluated(int batch_size, int workers, std::uint64_t max_batches = 1000) {
  Config config = configured(
      "--data.name synthetic --data.synthetic.shape 8,8,1 --data.synthetic.samples 80 --data.synthetic.classes 3 "
      "--data.val 40 --task.classification.auc true --task.classification.top_k 2");
  config.loader.batch_size = batch_size;
  config.loader.workers = workers;
  WorkerPool pool(pool_options(config), dataset_factory(config));
  const auto task = make_task(config.task, task_data(pool.splits().front()), at::kCPU);
  at::manual_seed(1);
  const auto model = new_model(config.model, task->model_input(), at::kCPU);
  DeviceLoader batches(pool, Split::val, {.max_batches = max_batches}, at::kCPU);
  EvaluationStep step(*model, *task, Precision::fp32, {});
  return {evaluate(step, batches, alone).value(), score_names(*task)};
}

TEST(SamplesText, SaysWhichPartOfTheSplitWasEvaluated) {
  EXPECT_EQ(samples_text({.values = {}, .samples = 17, .chosen = 17}), "all 17 samples");
  EXPECT_EQ(samples_text({.values = {}, .samples = 17, .chosen = 18}), "17 of 18 samples");
  EXPECT_EQ(samples_text({.values = {}, .samples = 64, .chosen = 64, .whole = false}), "the first 64 samples");
  EXPECT_EQ(samples_text({.values = {}, .samples = 63, .chosen = 64, .whole = false}), "63 of the first 64 samples");
  EXPECT_EQ(samples_text(evaluated(16, 0).scores), "all 40 samples");
  EXPECT_EQ(samples_text(evaluated(16, 0, 2).scores), "the first 32 samples");
}

TEST(Evaluate, CollectedMetricsAreThoseOfTheWholeSplit) {
  const Evaluated whole = evaluated(40, 0);
  EXPECT_EQ(whole.names, (std::vector<std::string>{"loss", "accuracy", "top2", "auc"}));
  const double auc = value_of(whole.scores.values, "auc").value();
  EXPECT_GT(auc, 0);
  EXPECT_LT(auc, 1);
  for (const int workers : {0, 2}) {
    const Scores parts = evaluated(7, workers).scores;
    EXPECT_EQ(parts.samples, 40);
    EXPECT_NEAR(value_of(parts.values, "auc").value(), auc, 1e-12);
    for (std::size_t i = 0; i < whole.names.size(); ++i) EXPECT_EQ(parts.values.at(i).first, whole.names[i]);
  }
}

TEST(Evaluate, OfTheFirstBatchesCollectsTheirRowsAlone) {
  const auto auc = [](int batch_size, std::uint64_t max_batches) {
    const Scores scores = evaluated(batch_size, 0, max_batches).scores;
    EXPECT_EQ(scores.samples, 20);
    return value_of(scores.values, "auc").value();
  };
  EXPECT_NEAR(auc(10, 2), auc(20, 1), 1e-12);
}

TEST(Evaluate, WithALossThatIsNotFiniteIsWorseThanAnyOther) {
  const Monitor monitor{.metric = "r2", .higher_is_better = true};
  const auto scores = [](double loss, double r2) { return MetricValues{{"loss", loss}, {"r2", r2}}; };
  EXPECT_TRUE(is_better(scores(2, 0.5), scores(1, 0.4), monitor));
  EXPECT_TRUE(is_better(scores(1, 0.5), scores(2, 0.5), monitor));
  EXPECT_FALSE(is_better(scores(2, 0.3), scores(1, 0.4), monitor));
  for (const double loss : {NAN, INFINITY}) {
    EXPECT_FALSE(is_better(scores(loss, 1), scores(1, -7), monitor));
    EXPECT_TRUE(is_better(scores(1, -7), scores(loss, 1), monitor));
  }
  EXPECT_FALSE(is_better(scores(1, NAN), scores(2, -7), monitor));
}

TEST(Evaluate, HasDivergedIfTheLossIsAHundredTimesAnEarlierOne) {
  EXPECT_TRUE(has_diverged({{"loss", 41}}, {{"loss", 0.4}}));
  EXPECT_FALSE(has_diverged({{"loss", 39}}, {{"loss", 0.4}}));
  EXPECT_TRUE(has_diverged({{"loss", 2}}, {{"loss", 0}}));
  EXPECT_FALSE(has_diverged({{"loss", 0.01}}, {{"loss", 1e-6}})) << "both are almost zero";
  EXPECT_FALSE(has_diverged({{"loss", 1e9}}, {}));
}

TEST(Evaluate, WithoutAValueOfTheMonitoredMetricIsNeverTheBest) {
  const Monitor monitor{.metric = "auc", .higher_is_better = true};
  EXPECT_TRUE(can_be_best({{"loss", 1}, {"auc", 0}}, monitor));
  EXPECT_FALSE(can_be_best({{"loss", 1}, {"auc", std::nullopt}}, monitor));
  EXPECT_FALSE(can_be_best({{"loss", 1}, {"auc", NAN}}, monitor));
  EXPECT_FALSE(can_be_best({{"loss", NAN}, {"auc", 0.5}}, monitor));
  EXPECT_FALSE(is_better({{"loss", 1}, {"auc", std::nullopt}}, {{"loss", 2}, {"auc", 0.5}}, monitor));
  EXPECT_TRUE(is_finite({{"loss", std::nullopt}}));
}

// A task with metrics of these names.
class NamedMetrics final : public Task {
 public:
  NamedMetrics(std::vector<std::string> names, std::string monitored)
      : names_(std::move(names)), monitored_(std::move(monitored)) {}

  ModelInput model_input() const override { return {}; }
  TensorDict prepare(const DeviceBatch& /*batch*/) const override { return {}; }
  Loss loss(const TensorDict& /*outputs*/, const TensorDict& /*batch*/, Phase /*phase*/) const override { return {}; }
  std::vector<Metric> metrics(Phase /*phase*/) const override {
    std::vector<Metric> metrics;
    for (const std::string& name : names_) metrics.push_back(ratio(name, nullptr));
    return metrics;
  }
  Monitor monitor() const override { return {.metric = monitored_}; }
  std::unique_ptr<Evaluation> evaluation(std::size_t /*worst*/) const override { return nullptr; }

 private:
  std::vector<std::string> names_;
  std::string monitored_;
};

TEST(RequireScoreNames, RefusesAMonitorThatIsNoMetric) {
  EXPECT_NO_THROW(require_score_names(NamedMetrics({"iou"}, "iou")));
  EXPECT_NO_THROW(require_score_names(NamedMetrics({"iou"}, "loss")));
  EXPECT_THAT(error_of<RunError>([] { require_score_names(NamedMetrics({"iou"}, "miou")); }),
              HasSubstr("monitor() names 'miou', which is none of the task's metrics: loss, iou"));
}

TEST(RequireScoreNames, RefusesNamesThatAreNoColumnsOfMetricsCsv) {
  for (const char* const name : {"", "a,b", "a\"b", "a\nb"}) {
    EXPECT_THAT(error_of<RunError>([&] { require_score_names(NamedMetrics({name}, "loss")); }),
                HasSubstr("give it a name without commas, quotes and line breaks"))
        << name;
  }
  EXPECT_THAT(error_of<RunError>([] { require_score_names(NamedMetrics({"iou", "iou"}, "iou")); }),
              HasSubstr("two metrics are named 'iou'"));
  EXPECT_THAT(error_of<RunError>([] { require_score_names(NamedMetrics({"loss"}, "loss")); }),
              HasSubstr("two metrics are named 'loss'"));
}

}  // namespace
}  // namespace trainyard
