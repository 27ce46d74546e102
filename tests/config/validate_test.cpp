#include "config/validate.h"

#include <functional>
#include <limits>

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string refusal(const std::function<void(Config&)>& change) {
  Config config;
  change(config);
  return error_of<UsageError>([&] { validate(config); });
}

TEST(Validate, DefaultsAreRight) { EXPECT_NO_THROW(validate(Config{})); }

TEST(Validate, ValuesOfEveryOriginAreChecked) {
  EXPECT_THAT(refusal([](Config& c) { c.optimizer.lr = std::numeric_limits<double>::quiet_NaN(); }),
              StartsWith("[optimizer.lr] is nan"));
  EXPECT_THAT(refusal([](Config& c) { c.train.device = "x"; }), StartsWith("[train.device]"));
}

TEST(Validate, WarmUpMustBeShorterThanTheRun) {
  EXPECT_THAT(refusal([](Config& c) { c.schedule.warmup_epochs = c.train.epochs; }),
              StartsWith("[schedule.warmup_epochs]"));
}

TEST(Validate, GradientsAreClippedByNormOrByValue) {
  EXPECT_THAT(refusal([](Config& c) { c.train.clip_grad_norm = c.train.clip_grad_value = 1; }),
              StartsWith("[train.clip_grad_value] is 1, and train.clip_grad_norm is 1; set one of them to 0"));
  EXPECT_THAT(refusal([](Config& c) { c.train.clip_grad_value = -1; }), StartsWith("[train.clip_grad_value] is -1"));
}

TEST(Validate, EpochsOfStepsMustNotExceedWhatCanBeCounted) {
  EXPECT_THAT(refusal([](Config& c) { c.train.steps_per_epoch = -1; }), StartsWith("[train.steps_per_epoch]"));
  EXPECT_THAT(refusal([](Config& c) { c.train.steps_per_epoch = 1'000'000'001; }),
              StartsWith("[train.steps_per_epoch]"));
  EXPECT_THAT(refusal([](Config& c) {
                c.train.steps_per_epoch = 1'000'000'000;
                c.train.epochs = 1'000'000;
                c.train.accumulate = 10;
              }),
              StartsWith("[train.steps_per_epoch] is 1000000000: 1000000 epochs of as many steps, of 10 batches each"));
}

TEST(Validate, ValFromOneOnIsAWholeNumber) {
  EXPECT_THAT(refusal([](Config& c) { c.data.val = 1.5; }), StartsWith("[data.val] is 1.5"));
  EXPECT_THAT(refusal([](Config& c) { c.data.val = 0; }), StartsWith("[data.val] is 0"));
  Config config;
  config.data.val = 5000;
  EXPECT_NO_THROW(validate(config));
}

TEST(Validate, RunNameIsOneFolder) {
  for (const char* name : {"../elsewhere", ".", "..", "a/b", "a\nb", "a\x1b[31m"}) {
    EXPECT_THAT(refusal([&](Config& c) { c.run.name = name; }), StartsWith("[run.name]"));
  }
  EXPECT_THAT(refusal([&](Config& c) { c.run.name = std::string(256, 'a'); }), StartsWith("[run.name]"));
  EXPECT_THAT(refusal([](Config& c) { c.run.dir = ""; }), StartsWith("[run.dir]"));
  EXPECT_THAT(refusal([](Config& c) { c.run.name = "scratch"; }), HasSubstr("is the folder of trial runs"));
  Config config;
  config.run.name = R"(what "he" said: #1, \n)";
  EXPECT_NO_THROW(validate(config));
}

}  // namespace
}  // namespace trainyard
