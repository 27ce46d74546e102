#include "optim/schedule.h"

#include <cmath>
#include <numbers>

#include <gmock/gmock.h>

#include "support/configured.h"
#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

constexpr std::int64_t steps_per_epoch = 10;
constexpr std::int64_t total = 100;

double at_step(const ScheduleConfig& config, std::int64_t step) {
  return learning_rate(config, 0.4, step, steps_per_epoch, total);
}

TEST(Schedule, ConstantStaysAtThePeak) {
  const ScheduleConfig config{.name = "constant"};
  for (const std::int64_t step : {0, 1, 50, 99}) EXPECT_DOUBLE_EQ(at_step(config, step), 0.4);
}

TEST(Schedule, WarmUpRisesLinearlyToThePeak) {
  const ScheduleConfig config{.name = "constant", .warmup_epochs = 0.5};
  EXPECT_DOUBLE_EQ(at_step(config, 0), 0.4 / 5);
  EXPECT_DOUBLE_EQ(at_step(config, 1), 0.4 * 2 / 5);
  EXPECT_DOUBLE_EQ(at_step(config, 4), 0.4);
  EXPECT_DOUBLE_EQ(at_step(config, 5), 0.4);
}

TEST(Schedule, CosineFollowsItsClosedForm) {
  const ScheduleConfig config{.name = "cosine", .warmup_epochs = 2};
  EXPECT_DOUBLE_EQ(at_step(config, 20), 0.4);
  EXPECT_DOUBLE_EQ(at_step(config, 60), 0.2);
  for (std::int64_t step = 20; step < total; ++step) {
    const double progress = static_cast<double>(step - 20) / 80;
    EXPECT_DOUBLE_EQ(at_step(config, step), 0.2 * (1 + std::cos(std::numbers::pi * progress)));
  }
  EXPECT_GT(at_step(config, 99), 0);
}

TEST(Schedule, CosineEndsAtAShareOfThePeak) {
  const ScheduleConfig config = configured("--schedule.name cosine --schedule.cosine.final 0.1").schedule;
  EXPECT_DOUBLE_EQ(at_step(config, 0), 0.4);
  EXPECT_DOUBLE_EQ(at_step(config, 50), 0.22);
  EXPECT_NEAR(at_step(config, 99), 0.04, 1e-3);
}

TEST(Schedule, CosineRestartsAtThePeakInEqualCycles) {
  const ScheduleConfig config = configured(
                                    "--schedule.name cosine --schedule.warmup_epochs 1 --schedule.cosine.cycles 3 "
                                    "--schedule.cosine.final 0.1")
                                    .schedule;
  for (std::int64_t step = 0; step < 30; ++step) {
    const double expected = 0.04 + 0.18 * (1 + std::cos(std::numbers::pi * static_cast<double>(step) / 30));
    for (const std::int64_t cycle : {0, 1, 2}) EXPECT_NEAR(at_step(config, 10 + 30 * cycle + step), expected, 1e-12);
  }
}

TEST(Schedule, CosineCyclesNeedNotBeWholeSteps) {
  const ScheduleConfig config = configured("--schedule.name cosine --schedule.cosine.cycles 7").schedule;
  int restarts = 0;
  for (std::int64_t step = 1; step < total; ++step) {
    EXPECT_TRUE(at_step(config, step) > 0 && at_step(config, step) <= 0.4) << step;
    restarts += at_step(config, step) > at_step(config, step - 1) ? 1 : 0;
  }
  EXPECT_EQ(restarts, 6);
}

TEST(Schedule, ExponentialChangesByOneFactorPerStep) {
  const ScheduleConfig config = configured("--schedule.name exponential --schedule.exponential.final 1e4").schedule;
  EXPECT_DOUBLE_EQ(at_step(config, 0), 0.4);
  EXPECT_DOUBLE_EQ(at_step(config, 50), 40);
  for (std::int64_t step = 1; step < total; ++step) {
    EXPECT_NEAR(at_step(config, step) / at_step(config, step - 1), std::pow(10, 0.04), 1e-12);
  }
}

TEST(Schedule, StepDropsByGammaAtEachBoundary) {
  const ScheduleConfig config = configured("--schedule.name step --schedule.step.epochs 3").schedule;
  EXPECT_DOUBLE_EQ(at_step(config, 29), 0.4);
  EXPECT_DOUBLE_EQ(at_step(config, 30), 0.04);
  EXPECT_DOUBLE_EQ(at_step(config, 59), 0.04);
  EXPECT_DOUBLE_EQ(at_step(config, 60), 0.4 * 0.01);
}

TEST(Schedule, StepCountsFromTheEndOfTheWarmUp) {
  const ScheduleConfig config =
      configured("--schedule.name step --schedule.warmup_epochs 1 --schedule.step.epochs 3 --schedule.step.gamma 0.5")
          .schedule;
  EXPECT_DOUBLE_EQ(at_step(config, 39), 0.4);
  EXPECT_DOUBLE_EQ(at_step(config, 40), 0.2);
}

TEST(Schedule, OneCycleRisesToThePeakAndFallsFarBelowItsStart) {
  const ScheduleConfig config{.name = "one_cycle"};
  EXPECT_DOUBLE_EQ(at_step(config, 0), 0.4 / 25);
  EXPECT_DOUBLE_EQ(at_step(config, 29), 0.4);
  EXPECT_NEAR(at_step(config, 99), 0.4 / 25 / 1e4, 1e-12);
  for (std::int64_t step = 1; step < total; ++step) {
    EXPECT_EQ(at_step(config, step) > at_step(config, step - 1), step <= 29) << step;
  }
}

TEST(Schedule, OneCycleOfExtremeSharesStaysBetweenItsEnds) {
  for (const std::string share : {"0", "0.004", "0.01", "1"}) {
    const ScheduleConfig config =
        configured("--schedule.name one_cycle --schedule.one_cycle.pct_start " + share).schedule;
    for (std::int64_t step = 0; step < total; ++step) {
      EXPECT_TRUE(at_step(config, step) > 0 && at_step(config, step) <= 0.4) << share << " " << step;
    }
  }
}

TEST(Schedule, UnknownNameListsTheKnownOnes) {
  EXPECT_THAT(error_of<UsageError>([] { at_step({.name = "cosin"}, 0); }),
              testing::HasSubstr("there is no schedule 'cosin'; known, nearest first: cosine, "));
}

}  // namespace
}  // namespace trainyard
