#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "commands/small_run.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

using EvalCommand = SmallRun;

nlohmann::json eval_json(std::vector<std::string> more) {
  more.insert(more.begin(), {TRAINYARD_BINARY, "eval", "--json"});
  const Outcome outcome = run_program(more);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  return nlohmann::json::parse(outcome.output, nullptr, false);
}

TEST_F(EvalCommand, CountsEverySampleOnceInEveryFigure) {
  const nlohmann::json json = eval_json({run()});
  ASSERT_TRUE(json.is_object());
  EXPECT_EQ(json["samples"], 128);
  std::int64_t samples = 0;
  std::int64_t right = 0;
  for (const auto& one : json["classes"]) {
    samples += one["samples"].get<std::int64_t>();
    right += one["right"].get<std::int64_t>();
  }
  std::int64_t confused = 0;
  for (const auto& one : json["confusion"]) confused += one["samples"].get<std::int64_t>();
  EXPECT_EQ(json["classes"].size(), 5u);
  EXPECT_EQ(samples, 128);
  EXPECT_EQ(confused, 128);
  EXPECT_DOUBLE_EQ(json["top1"].get<double>(), static_cast<double>(right) / 128);
  EXPECT_EQ(json["top5"], 1) << "of five classes, the right one is always among the first five";
}

TEST_F(EvalCommand, AnotherBatchSizeGivesTheSame) {
  const nlohmann::json a = eval_json({run()});
  const nlohmann::json b = eval_json({run(), "--loader.batch_size", "37", "--loader.workers", "0"});
  EXPECT_EQ(a["confusion"], b["confusion"]);
  EXPECT_NEAR(a["loss"].get<double>(), b["loss"].get<double>(), 1e-6);
}

TEST_F(EvalCommand, TakesAnotherPrecisionThanTheRunWasTrainedIn) {
  const nlohmann::json json = eval_json({run(), "--train.precision", "bf16"});
  EXPECT_EQ(json["precision"], "bf16");
  EXPECT_NEAR(json["loss"].get<double>(), eval_json({run()})["loss"].get<double>(), 0.05);
}

TEST_F(EvalCommand, PrintsATableOfTheClasses) {
  const Outcome outcome = run_program({TRAINYARD_BINARY, "eval", run()});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  for (const char* part : {"on all 128 test images", "top-5          1.0000", "precision", "class 4 "}) {
    EXPECT_THAT(outcome.output, HasSubstr(part));
  }
}

TEST_F(EvalCommand, RefusesSamplesOfAnotherShape) {
  const Outcome outcome = run_program({TRAINYARD_BINARY, "eval", run(), "--data.shape", "32,32,3"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("[32, 32, 3]"));
}

}  // namespace
}  // namespace trainyard
