#include "training/run_plan.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

RunPlan plan(int epochs, std::int64_t steps_per_epoch, int accumulate, std::int64_t batches) {
  TrainConfig config;
  config.epochs = epochs;
  config.steps_per_epoch = steps_per_epoch;
  config.accumulate = accumulate;
  return RunPlan(config, batches);
}

TEST(RunPlan, AnEpochIsAPassByDefault) {
  const RunPlan run = plan(3, 0, 1, 10);
  EXPECT_EQ(run.steps_per_epoch(), 10);
  EXPECT_EQ(run.steps(), 30);
  EXPECT_EQ(run.passes(), 3);
  EXPECT_EQ(run.batches_left({.epoch = 2, .step = 20}), (BatchRange{20, 30}));
  EXPECT_EQ(run.batches_left({.epoch = 1, .step = 14}), (BatchRange{14, 20}));
  EXPECT_EQ(run.batches_done({.epoch = 1, .step = 14}), (BatchRange{10, 14}));
}

TEST(RunPlan, TheLastStepOfAPassHasTheBatchesThatAreLeft) {
  const RunPlan run = plan(2, 0, 4, 10);  // steps of 4, 4 and 2 batches
  EXPECT_EQ(run.steps_per_epoch(), 3);
  EXPECT_EQ(run.batches_left({.epoch = 0, .step = 2}), (BatchRange{8, 10}));
  EXPECT_EQ(run.batches_left({.epoch = 1, .step = 4}), (BatchRange{14, 20}));
  for (std::int64_t batch = 0; batch < 10; ++batch) {
    EXPECT_EQ(run.begins_step(batch), batch == 0 || batch == 4 || batch == 8) << batch;
    EXPECT_EQ(run.ends_step(batch), batch == 3 || batch == 7 || batch == 9) << batch;
  }
}

TEST(RunPlan, EpochsOfAsManyStepsAsAPassAreThoseOfTheDefault) {
  for (const int accumulate : {1, 3, 4, 50}) {
    const RunPlan passes = plan(4, 0, accumulate, 10);
    const RunPlan steps = plan(4, passes.steps_per_epoch(), accumulate, 10);
    EXPECT_EQ(steps.steps(), passes.steps());
    for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
      const Place begin{.epoch = epoch, .step = epoch * passes.steps_per_epoch()};
      EXPECT_EQ(steps.batches_left(begin), passes.batches_left(begin)) << accumulate;
    }
  }
}

// Whatever the length of an epoch, the epochs together read each batch once, in order.
TEST(RunPlan, EpochsOfAnyLengthContinueThePasses) {
  for (const int accumulate : {1, 3}) {
    for (const std::int64_t steps : {1, 2, 3, 4, 5, 9, 33}) {
      const RunPlan run = plan(20, steps, accumulate, 10);
      std::uint64_t next = 0;
      for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
        const BatchRange range = run.batches_left({.epoch = epoch, .step = epoch * steps});
        EXPECT_EQ(range.first, next);
        std::int64_t ended = 0;
        for (std::uint64_t batch = range.first; batch < range.end; ++batch) {
          ended += run.ends_step(static_cast<std::int64_t>(batch % 10)) ? 1 : 0;
        }
        EXPECT_EQ(ended, steps) << accumulate;
        next = range.end;
      }
      EXPECT_EQ(run.batches_to_end({.epoch = 0, .step = 0}), (BatchRange{0, next}));
    }
  }
}

TEST(RunPlan, APlaceAtTheEndOfAnEpochHasNoBatchLeft) {
  const RunPlan run = plan(3, 7, 2, 9);  // passes of 5 steps
  const Place end{.epoch = 1, .step = 14};
  EXPECT_TRUE(run.is_at_end(end));
  EXPECT_FALSE(run.is_at_start(end));
  EXPECT_EQ(run.batches_done(end), (BatchRange{9 + 4, 2 * 9 + 8}));
  EXPECT_EQ(run.batches_left(end).count(), 0u);
  const Place next{.epoch = 2, .step = 14};
  EXPECT_TRUE(run.is_at_start(next));
  EXPECT_EQ(run.batches_done(next).count(), 0u);
  EXPECT_EQ(run.batches_left(next), run.batches_to_end(next));
}

TEST(RunPlan, KnowsWhichPlacesARunHas) {
  const RunPlan run = plan(3, 7, 1, 5);
  EXPECT_TRUE(run.contains({.epoch = 1, .step = 7}));
  EXPECT_TRUE(run.contains({.epoch = 1, .step = 14}));
  EXPECT_FALSE(run.contains({.epoch = 1, .step = 6}));
  EXPECT_FALSE(run.contains({.epoch = 1, .step = 15}));
  EXPECT_FALSE(run.contains({.epoch = -1, .step = -7}));
}

TEST(RunPlan, AShortRunDoesNotCompleteAPass) {
  EXPECT_FALSE(plan(3, 3, 1, 10).completes_a_pass());
  EXPECT_TRUE(plan(4, 3, 1, 10).completes_a_pass());
  EXPECT_FALSE(plan(4, 3, 1, 10).has_completed_a_pass({.epoch = 3, .step = 9}));
  EXPECT_TRUE(plan(4, 3, 1, 10).has_completed_a_pass({.epoch = 3, .step = 10}));
  EXPECT_DOUBLE_EQ(plan(3, 5, 1, 10).passes(), 1.5);
}

}  // namespace
}  // namespace trainyard
