#include <cmath>

#include <gmock/gmock.h>

#include "optim/schedule.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

constexpr double peak = 0.4;
constexpr std::int64_t steps_per_epoch = 10;
constexpr std::int64_t epochs = 20;

ScheduleConfig plateau(const std::string& flags) {
  return configured(flags, configured("--schedule.name plateau --schedule.plateau.patience 1")).schedule;
}

// The rate in the epoch after those of `history`.
double next_rate(const ScheduleConfig& config, const ValHistory& history) {
  const auto done = history.first_epoch + std::ssize(history.values);
  return learning_rate(config, peak, done * steps_per_epoch, steps_per_epoch, epochs * steps_per_epoch, history);
}

double next_rate(const std::string& flags, std::vector<double> values, bool higher_is_better = true) {
  return next_rate(plateau(flags), {.higher_is_better = higher_is_better, .values = std::move(values)});
}

TEST(Plateau, StaysAtThePeakWhileValImproves) {
  EXPECT_EQ(next_rate("", {}), peak);
  EXPECT_EQ(next_rate("", {0.1, 0.2, 0.3, 0.4, 0.5}), peak);
  EXPECT_EQ(next_rate("", {5, 4, 3, 2, 1}, /*higher_is_better=*/false), peak);
}

TEST(Plateau, ReducesAfterMoreEpochsThanPatience) {
  EXPECT_EQ(next_rate("", {0.5, 0.4}), peak);
  EXPECT_DOUBLE_EQ(next_rate("", {0.5, 0.4, 0.4}), peak * 0.1);
  EXPECT_DOUBLE_EQ(next_rate("", {0.5, 0.6, 0.6}, /*higher_is_better=*/false), peak * 0.1);
  EXPECT_DOUBLE_EQ(next_rate("--schedule.plateau.factor 0.5 --schedule.plateau.patience 0", {0.5, 0.4}), peak * 0.5);
}

TEST(Plateau, CountsAnewAfterAReductionAndAfterAnImprovement) {
  EXPECT_DOUBLE_EQ(next_rate("", {0.5, 0.4, 0.4, 0.4}), peak * 0.1);
  EXPECT_DOUBLE_EQ(next_rate("", {0.5, 0.4, 0.4, 0.4, 0.4}), peak * 0.1 * 0.1);
  EXPECT_DOUBLE_EQ(next_rate("", {0.5, 0.4, 0.4, 0.6, 0.4}), peak * 0.1);
  EXPECT_EQ(next_rate("", {0.5, 0.4, 0.6, 0.4}), peak);
}

TEST(Plateau, ThresholdIsAShareOfTheMagnitudeOfTheBest) {
  const std::string flags = "--schedule.plateau.patience 0 --schedule.plateau.threshold 0.25";
  EXPECT_EQ(next_rate(flags, {8, 10.5}), peak);
  EXPECT_LT(next_rate(flags, {8, 9.5}), peak);
  EXPECT_EQ(next_rate(flags, {8, 5.5}, /*higher_is_better=*/false), peak);
  EXPECT_LT(next_rate(flags, {8, 6.5}, /*higher_is_better=*/false), peak);
  EXPECT_EQ(next_rate(flags, {-8, -5.5}), peak);
  EXPECT_LT(next_rate(flags, {-8, -8}), peak) << "R² that stays as it is";
}

TEST(Plateau, AnEpochThatCannotBeTheBestIsNoImprovement) {
  const double none = std::nan("");
  EXPECT_LT(next_rate("", {0.5, none, none}), peak);
  EXPECT_LT(next_rate("", {none, none}), peak);
  EXPECT_EQ(next_rate("", {none, 0.1, 0.2, none, 0.3}), peak);
}

TEST(Plateau, FinalIsTheLowestRate) {
  const std::string flags = "--schedule.plateau.patience 0 --schedule.plateau.final 0.05";
  EXPECT_DOUBLE_EQ(next_rate(flags, {0.5, 0.4}), peak * 0.1);
  EXPECT_DOUBLE_EQ(next_rate(flags, {0.5, 0.4, 0.4}), peak * 0.05);
  EXPECT_DOUBLE_EQ(next_rate(flags, {0.5, 0.4, 0.4, 0.4}), peak * 0.05);
}

TEST(Plateau, EpochsOfTheWarmUpDoNotCount) {
  const std::vector<double> values = {0.9, 0.8, 0.1, 0.2, 0.3};
  EXPECT_LT(next_rate("", values), peak);
  EXPECT_EQ(next_rate("--schedule.warmup_epochs 2", values), peak);
  EXPECT_LT(next_rate("--schedule.warmup_epochs 1.5", values), peak) << "the second epoch ends after the warm-up";
  EXPECT_DOUBLE_EQ(next_rate("--schedule.warmup_epochs 6", values), peak * 51 / 60);
}

TEST(Plateau, TheRateOfAStepDependsOnlyOnEpochsBeforeIt) {
  const ValHistory history{.values = {0.5, 0.4, 0.4, 0.4, 0.4}};
  const auto rate = [&](std::int64_t step) {
    return learning_rate(plateau(""), peak, step, steps_per_epoch, epochs * steps_per_epoch, history);
  };
  for (const std::int64_t step : {0, 10, 29}) EXPECT_EQ(rate(step), peak) << step;
  for (const std::int64_t step : {30, 49}) EXPECT_DOUBLE_EQ(rate(step), peak * 0.1) << step;
  EXPECT_DOUBLE_EQ(rate(50), peak * 0.1 * 0.1);
}

TEST(Plateau, EpochsThatAreNotKnownDoNotCount) {
  EXPECT_EQ(next_rate(plateau(""), {.first_epoch = 12, .values = {}}), peak);
  EXPECT_EQ(next_rate(plateau(""), {.first_epoch = 12, .values = {0.5, 0.4}}), peak);
  EXPECT_LT(next_rate(plateau(""), {.first_epoch = 12, .values = {0.5, 0.4, 0.4}}), peak);
  EXPECT_EQ(next_rate(plateau("--schedule.warmup_epochs 13"), {.first_epoch = 12, .values = {0.5, 0.4, 0.4}}), peak);
}

TEST(Plateau, OtherSchedulesDoNotFollowVal) {
  const ValHistory history{.values = {0.5, 0.4, 0.4, 0.4, 0.4}};
  for (const std::string& name : ScheduleRegistry::names()) {
    if (name == "plateau") continue;
    const ScheduleConfig config{.name = name};
    EXPECT_EQ(next_rate(config, history), next_rate(config, {.first_epoch = 5, .values = {}})) << name;
  }
}

TEST(Plateau, ImpossibleSettingsAreRefused) {
  for (const std::string wrong : {"factor 1", "factor -0.1", "patience -1", "patience 0.5", "threshold -1",
                                  "threshold 2", "final 1.5", "final -1"}) {
    EXPECT_THAT(error_of<UsageError>([&] { plateau("--schedule.plateau." + wrong); }),
                testing::HasSubstr("schedule.plateau." + wrong.substr(0, wrong.find(' '))));
  }
  EXPECT_THAT(error_of<UsageError>([] { configured("--schedule.plateau.patience 3"); }),
              testing::HasSubstr("schedule.name = plateau"));
}

}  // namespace
}  // namespace trainyard
