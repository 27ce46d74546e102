#include <filesystem>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "commands/small_run.h"

namespace trainyard {
namespace {

using testing::AllOf;
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
  EXPECT_DOUBLE_EQ(json["test/accuracy"].get<double>(), static_cast<double>(right) / 128);
  EXPECT_FALSE(json.contains("test/top5")) << "of five classes, the right one is always among the first five";
  EXPECT_EQ(json["metrics"], nlohmann::json({"loss", "accuracy"}));
}

TEST_F(EvalCommand, AnotherBatchSizeGivesTheSame) {
  const nlohmann::json a = eval_json({run()});
  const nlohmann::json b = eval_json({run(), "--loader.batch_size", "37", "--loader.workers", "0"});
  EXPECT_EQ(a["confusion"], b["confusion"]);
  EXPECT_NEAR(a["test/loss"].get<double>(), b["test/loss"].get<double>(), 1e-6);
}

TEST_F(EvalCommand, TakesAnotherPrecisionThanTheRunWasTrainedIn) {
  const nlohmann::json json = eval_json({run(), "--train.precision", "bf16"});
  EXPECT_EQ(json["precision"], "bf16");
  EXPECT_NEAR(json["test/loss"].get<double>(), eval_json({run()})["test/loss"].get<double>(), 0.05);
}

TEST_F(EvalCommand, PrintsATableOfTheClasses) {
  const Outcome outcome = run_program({TRAINYARD_BINARY, "eval", run()});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  for (const char* part : {"on all 128 samples", "test/accuracy", "precision", "class 4 "}) {
    EXPECT_THAT(outcome.output, HasSubstr(part));
  }
}

TEST_F(EvalCommand, AveragesWithTheMirroredImages) {
  const nlohmann::json plain = eval_json({run()});
  const nlohmann::json mirrored = eval_json({run(), "--mirror"});
  EXPECT_EQ(plain["mirror"], false);
  EXPECT_EQ(mirrored["mirror"], true);
  EXPECT_EQ(mirrored["samples"], 128);
  EXPECT_NE(mirrored["test/loss"], plain["test/loss"]);
  EXPECT_NEAR(mirrored["test/loss"].get<double>(), plain["test/loss"].get<double>(), 0.5);
}

TEST_F(EvalCommand, EvaluatesValWhenAsked) {
  const nlohmann::json val = eval_json({run(), "--split", "val"});
  EXPECT_EQ(val["split"], "val");
  EXPECT_EQ(val["samples"], 128);
  EXPECT_TRUE(val.contains("val/accuracy"));
  EXPECT_FALSE(val.contains("test/accuracy"));
  EXPECT_EQ(eval_json({run()})["split"], "test");
}

TEST_F(EvalCommand, WithoutATestSplitValIsEvaluatedAndSaidToBe) {
  const std::string root = *dir_ / "no_test";
  const Outcome packed =
      run_program({TRAINYARD_BINARY, "pack", root, "--data.name", "synthetic", "--data.synthetic.samples", "200",
                   "--data.synthetic.classes", "5", "--data.synthetic.shape", "16,16,3"});
  ASSERT_EQ(packed.exit_code, 0) << packed.output;
  EXPECT_FALSE(std::filesystem::exists(root + "/val.packed"));
  std::filesystem::remove(root + "/test.packed");
  const Outcome trained =
      run_program({TRAINYARD_BINARY, "train", "--data.name", "packed", "--data.root", root, "--train.epochs", "1",
                   "--run.dir", *dir_ / "", "--run.name", "b", "--train.device", "cpu", "--loader.workers", "0"});
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  EXPECT_THAT(trained.output, HasSubstr("test           none: the data has no test split"));
  const Outcome evaluated = run_program({TRAINYARD_BINARY, "eval", *dir_ / "b"});
  EXPECT_EQ(evaluated.exit_code, 0);
  EXPECT_THAT(evaluated.output, AllOf(HasSubstr("packed has no test split"), HasSubstr("val/accuracy")));
  const Outcome refused = run_program({TRAINYARD_BINARY, "eval", *dir_ / "b", "--split", "test"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output, HasSubstr("has no test split"));
}

TEST_F(EvalCommand, AcceptsImagesOfAnotherSizeButNotOfOtherChannels) {
  const auto eval_on = [&](const char* shape) {
    return run_program({TRAINYARD_BINARY, "eval", run(), "--data.synthetic.shape", shape});
  };
  EXPECT_EQ(eval_on("32,40,3").exit_code, 0);
  const Outcome refused = eval_on("32,32,1");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output, HasSubstr("image (uint8, 32 x 32 x 1)"));
}

TEST_F(EvalCommand, AFlagThatMakesNoDifferenceIsRefusedAndAFileMayHoldAll) {
  const Outcome refused = run_program({TRAINYARD_BINARY, "eval", run(), "--optimizer.lr", "5"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output, HasSubstr("eval makes no use of the setting optimizer.lr; leave it out"));
  const TempDir dir;
  const std::string file = dir.write("x.toml", "[optimizer]\nlr = 5\n[loader]\nworkers = 0\n");
  const Outcome evaluated = run_program({TRAINYARD_BINARY, "eval", run(), "--config", file});
  EXPECT_EQ(evaluated.exit_code, 0) << evaluated.output;
}

}  // namespace
}  // namespace trainyard
