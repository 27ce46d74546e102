#include "training/evaluate.h"

#include <cmath>

#include <gmock/gmock.h>

#include "loader/open_pool.h"
#include "support/configured.h"
#include "training/trained_model.h"

namespace trainyard {
namespace {

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

}  // namespace
}  // namespace trainyard
