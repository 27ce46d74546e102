#include "training/run_plan.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

RunPlan plan(int epochs, int accumulate, std::int64_t batches) {
  TrainConfig config;
  config.epochs = epochs;
  config.accumulate = accumulate;
  return RunPlan(config, batches);
}

TEST(RunPlan, AnEpochIsAPass) {
  const RunPlan run = plan(3, 1, 10);
  EXPECT_EQ(run.steps_per_epoch(), 10);
  EXPECT_EQ(run.steps(), 30);
  EXPECT_EQ(run.batches_left({.epoch = 2, .step = 20}), (BatchRange{20, 30}));
  EXPECT_EQ(run.batches_left({.epoch = 1, .step = 14}), (BatchRange{14, 20}));
  EXPECT_EQ(run.batches_done({.epoch = 1, .step = 14}), (BatchRange{10, 14}));
}

TEST(RunPlan, TheLastStepOfAPassHasTheBatchesThatAreLeft) {
  const RunPlan run = plan(2, 4, 10);  // steps of 4, 4 and 2 batches
  EXPECT_EQ(run.steps_per_epoch(), 3);
  EXPECT_EQ(run.batches_left({.epoch = 0, .step = 2}), (BatchRange{8, 10}));
  EXPECT_EQ(run.batches_left({.epoch = 1, .step = 4}), (BatchRange{14, 20}));
  for (std::int64_t batch = 0; batch < 10; ++batch) {
    EXPECT_EQ(run.begins_step(batch), batch == 0 || batch == 4 || batch == 8) << batch;
    EXPECT_EQ(run.ends_step(batch), batch == 3 || batch == 7 || batch == 9) << batch;
  }
}

}  // namespace
}  // namespace trainyard
