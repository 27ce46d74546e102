// The flags of `train` for inspecting and debugging a run.

#include <sstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "commands/small_run.h"
#include "images/decode_image.h"
#include "util/system.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class DebugOptions : public SmallRun {
 protected:
  static void SetUpTestSuite() { dir_ = std::make_unique<TempDir>(); }  // each test trains its own run

  static std::string file(const std::string& name) { return read_text_file(*dir_ / name, "test"); }
};

TEST_F(DebugOptions, FastDevRunExercisesEveryStageAndLeavesNoResumableRun) {
  for (int time = 0; time < 2; ++time) {  // the second one starts from scratch
    const Outcome outcome =
        train("quick", {"--train.fast_dev_run", "--loader.batch_size", "32", "--schedule.warmup_epochs", "1"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_THAT(outcome.output,
                AllOf(HasSubstr("1 of 1, 3 steps"), testing::ContainsRegex("val/accuracy .* on the first 96 samples"),
                      testing::ContainsRegex("test/accuracy .* on the first 96 samples")));
  }
  EXPECT_THAT(file("scratch/quick/report.html"), HasSubstr("\"evaluated_on\":\"the first "));
  EXPECT_FALSE(std::filesystem::exists(*dir_ / "quick"));
  for (const char* name : {"report.html", "metrics.csv", "checkpoints/last/manifest.json"}) {
    EXPECT_TRUE(std::filesystem::exists(*dir_ / ("scratch/quick/" + std::string(name)))) << name;
  }
}

TEST_F(DebugOptions, TrialsRefuseToResumeFromACheckpoint) {
  const Outcome outcome = train("quick", {"--train.fast_dev_run", "--run.resume", "runs/a/checkpoints/last"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("[run.resume] is runs/a/checkpoints/last, but --train.fast_dev_run"));
}

TEST_F(DebugOptions, OverfitBatchesTrainsOnTheSameBatchesInEveryEpoch) {
  // The learning rate is 0 from the second step on, so the same batches have the same loss.
  const std::vector<std::string> words = {
      "--schedule.name",       "step", "--schedule.step.epochs",  "0.001",
      "--schedule.step.gamma", "0",    "--transform.train",       "random_crop(padding=2)",
      "--loader.batch_size",   "16",   "--train.overfit_batches", "2"};
  const Outcome outcome = train("heart", words, "3");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("3 of 3, 6 steps"));
  std::vector<double> losses;
  std::istringstream lines(file("scratch/heart/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) losses.push_back(nlohmann::json::parse(line)["train/loss"]);
  ASSERT_EQ(losses.size(), 3u);
  EXPECT_EQ(losses[1], losses[2]);
}

TEST_F(DebugOptions, OverfitBatchesAndFastDevRunFitEpochsOfSteps) {
  const Outcome few =
      train("few", {"--loader.batch_size", "16", "--train.overfit_batches", "2", "--train.steps_per_epoch", "5"}, "2");
  ASSERT_EQ(few.exit_code, 0) << few.output;
  EXPECT_THAT(few.output, HasSubstr("2 of 2, 10 steps"));
  const Outcome quick = train("short", {"--train.fast_dev_run", "--train.steps_per_epoch", "1000"}, "7");
  ASSERT_EQ(quick.exit_code, 0) << quick.output;
  EXPECT_THAT(quick.output, HasSubstr("1 of 1, 3 steps"));
}

TEST_F(DebugOptions, ProfileWritesATraceOfTheStepsAskedFor) {
  const Outcome outcome = train("traced", {"--train.profile", "2:3"}, "1");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  const nlohmann::json trace = nlohmann::json::parse(file("traced/trace.json"));
  int convolutions = 0;
  for (const auto& event : trace["traceEvents"]) convolutions += event.value("name", "") == "aten::conv2d" ? 1 : 0;
  EXPECT_GT(convolutions, 0);
  EXPECT_EQ(convolutions % 2, 0) << "two steps";
}

TEST_F(DebugOptions, ProfileRefusesWhatIsNoRange) {
  for (const char* range : {"0", "5:3", "a:b", "3:", ":3", "1:2:3", "-1:2"}) {
    const Outcome outcome = train("refused", {std::string("--train.profile=") + range});
    EXPECT_EQ(outcome.exit_code, 2) << range << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("train.profile")) << range;
  }
  EXPECT_FALSE(std::filesystem::exists(*dir_ / "refused"));
}

TEST_F(DebugOptions, DryRunShowsTheModelAndABatchAndTrainsNothing) {
  const Outcome outcome = train("dry", {"--train.dry_run", "--loader.batch_size", "10"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  for (const char* part :
       {"trained parameters", "MiB beside the weights", "52 batches per pass over the data, 52 steps per epoch",
        "monitor        val/accuracy, higher is better", "batch.png"}) {
    EXPECT_THAT(outcome.output, HasSubstr(part));
  }
  const std::string png = file("dry/batch.png");
  const Image grid = decode_image(std::as_bytes(std::span(png)), 3, "batch.png");
  EXPECT_EQ(grid.width, 4 * 16u + 3 * 2u);
  EXPECT_EQ(grid.height, 3 * 16u + 2 * 2u);
  EXPECT_FALSE(std::filesystem::exists(*dir_ / "dry/checkpoints"));
}

TEST_F(DebugOptions, DryRunRefusesWeightsThatAreMissing) {
  const Outcome outcome = train("dry_weights", {"--train.dry_run", "--model.weights", "resnet18"});
  EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("make weights NAME=resnet18 fetches published ones"));
}

TEST_F(DebugOptions, DryRunRefusesAnEpochWithoutABatch) {
  const Outcome outcome =
      train("dry_batch", {"--train.dry_run", "--loader.batch_size", "9999", "--loader.drop_last=true"});
  EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("fewer than one batch of 9999"));
}

}  // namespace
}  // namespace trainyard
