#include <algorithm>
#include <filesystem>

#include <gmock/gmock.h>

#include "commands/small_run.h"
#include "util/system.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class LrFindCommand : public SmallRun {
 protected:
  static Outcome find(const std::vector<std::string>& more) {
    std::vector<std::string> words = {TRAINYARD_BINARY,
                                      "lr_find",
                                      "--data.name",
                                      "synthetic",
                                      "--data.synthetic.samples",
                                      "640",
                                      "--data.synthetic.shape",
                                      "16,16,3",
                                      "--data.synthetic.classes",
                                      "5",
                                      "--loader.workers",
                                      "0",
                                      "--loader.batch_size",
                                      "32",
                                      "--train.device",
                                      "cpu",
                                      "--run.dir",
                                      *dir_ / "",
                                      "--run.name",
                                      "a"};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words);
  }

  static std::string scratch() { return *dir_ / "scratch/a-lr_find"; }
};

TEST_F(LrFindCommand, SuggestsALearningRateAndLeavesTheRunAlone) {
  const std::string before = read_text_file(run() + "/metrics.csv", "test");
  const Outcome found = find({"--steps", "72"});
  ASSERT_EQ(found.exit_code, 0) << found.output;
  EXPECT_THAT(found.output, AllOf(HasSubstr("suggested  --optimizer.lr "), HasSubstr("diverged after ")));
  EXPECT_EQ(read_text_file(run() + "/metrics.csv", "test"), before);
  EXPECT_TRUE(std::filesystem::exists(run() + "/checkpoints/last"));
  EXPECT_FALSE(std::filesystem::exists(scratch() + "/checkpoints"));
  EXPECT_THAT(read_text_file(scratch() + "/metrics.jsonl", "test"), HasSubstr("\"lr\":1e-07"));
  EXPECT_THAT(read_text_file(scratch() + "/report.html", "test"), HasSubstr("1e-07"));
}

TEST_F(LrFindCommand, TakesAllStepsAlsoOnSmallDataAndSaysThatNothingFell) {
  const Outcome outcome = find({"--steps", "47", "--lr_min", "1e-12", "--lr_max", "1e-11"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("no suggestion"), Not(HasSubstr("diverged"))));
  const std::string lines = read_text_file(scratch() + "/metrics.jsonl", "test");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 47);
}

TEST_F(LrFindCommand, RefusesARangeThatDoesNotGrow) {
  const Outcome outcome = find({"--lr_min", "1", "--lr_max", "0.1"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("[lr_find] goes from 1 to 0.1"));
}

}  // namespace
}  // namespace trainyard
