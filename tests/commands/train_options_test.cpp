// Runs the program on synthetic data: signals, fine-tuning, and options that a checkpoint must preserve.

#include <algorithm>
#include <filesystem>

#include <gmock/gmock.h>
#include <signal.h>

#include "checkpoint/safetensors_torch.h"
#include "support/processes.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "util/system.h"
#include "util/torch.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class TrainOptions : public testing::Test {
 protected:
  // `more` alternates flags and their values, which replace the defaults for the same flag.
  std::vector<std::string> command(const std::string& run, const std::vector<std::string>& more) const {
    std::vector<std::string> words = {TRAINYARD_BINARY,
                                      "train",
                                      "--data.name",
                                      "synthetic",
                                      "--data.synthetic.shape",
                                      "12,12,1",
                                      "--data.synthetic.samples",
                                      "128",
                                      "--loader.batch_size",
                                      "16",
                                      "--loader.workers",
                                      "0",
                                      "--train.device",
                                      "cpu",
                                      "--train.threads",
                                      "1",
                                      "--train.epochs",
                                      "2",
                                      "--run.dir",
                                      dir_ / "runs",
                                      "--run.name",
                                      run};
    for (std::size_t i = 0; i < more.size(); i += 2) {  // a flag may be given only once
      const auto given = std::find(words.begin(), words.end(), more[i]);
      if (given == words.end()) {
        words.insert(words.end(), {more[i], more[i + 1]});
      } else {
        *(given + 1) = more[i + 1];
      }
    }
    return words;
  }
  Outcome train(const std::string& run, const std::vector<std::string>& more = {}) const {
    return run_program(command(run, more));
  }
  fs::path last(const std::string& run) const { return dir_ / ("runs/" + run + "/checkpoints/last"); }

  // Returns whether the run has logged a step.
  bool trains(const std::string& run) const {
    const std::string lines = dir_ / ("runs/" + run + "/metrics.jsonl");
    return fs::exists(lines) && fs::file_size(lines) > 0;
  }

  TempDir dir_;
};

TEST_F(TrainOptions, Sigusr1SavesInTheMiddleOfAnEpochAndTrainingGoesOn) {
  Subprocess child(command("a", {"--data.synthetic.samples", "1000000", "--train.log_every", "1"}));
  ASSERT_TRUE(comes_true([&] { return trains("a"); })) << child.output_so_far();
  child.signal(SIGUSR1);
  ASSERT_TRUE(comes_true([&] { return fs::exists(last("a") / "manifest.json"); })) << child.output_so_far();
  const fs::path first = fs::read_symlink(last("a"));
  child.signal(SIGUSR1);
  ASSERT_TRUE(comes_true([&] { return fs::read_symlink(last("a")) != first; })) << child.output_so_far();
  child.signal(SIGTERM);
  const Outcome outcome = child.wait();
  EXPECT_EQ(outcome.exit_code, 128 + SIGTERM) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("SIGUSR1: saving step "));
}

TEST_F(TrainOptions, StopsWithoutRecreatingAMovedRun) {
  Subprocess child(command("a", {"--data.synthetic.samples", "1000000", "--train.log_every", "1"}));
  ASSERT_TRUE(comes_true([&] { return trains("a"); })) << child.output_so_far();
  fs::rename(dir_ / "runs/a", dir_ / "runs/b");
  const Outcome outcome = child.wait();
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("was moved to"), HasSubstr("--run.name b")));
  EXPECT_FALSE(fs::exists(dir_ / "runs/a"));
}

TEST_F(TrainOptions, ARunRemovedWhileItTrainsEndsAndIsNotMadeAnew) {
  Subprocess child(command("a", {"--data.synthetic.samples", "1000000", "--train.log_every", "1"}));
  ASSERT_TRUE(comes_true([&] { return trains("a"); })) << child.output_so_far();
  fs::rename(dir_ / "runs/a", dir_ / "b");  // atomic, because no file may be written there meanwhile
  fs::remove_all(dir_ / "b");
  const Outcome outcome = child.wait();
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  EXPECT_THAT(outcome.output, testing::ContainsRegex("was (removed|moved to .*) while it was trained"));
  EXPECT_TRUE(fs::is_empty(dir_ / "runs"));
}

TEST_F(TrainOptions, FineTuningBeginsFromAnotherRunsWeights) {
  ASSERT_EQ(train("a").exit_code, 0);
  const std::string weights = last("a") / "model.safetensors";
  // With a learning rate of 0 the weights stay as loaded.
  const std::vector<std::string> frozen = {"--model.weights", weights, "--optimizer.lr",  "0",
                                           "--train.epochs",  "1",     "--schedule.name", "constant"};
  const Outcome same = train("same", frozen);
  ASSERT_EQ(same.exit_code, 0) << same.output;
  const auto find = [&](const std::string& run, const std::string& name) {
    for (auto& [key, tensor] : load_safetensors(last(run) / "model.safetensors")) {
      if (key == name) return tensor;
    }
    return at::Tensor();
  };
  EXPECT_TRUE(at::equal(find("same", "conv2.weight"), find("a", "conv2.weight")));
  EXPECT_TRUE(at::equal(find("same", "fc.weight"), find("a", "fc.weight")));

  std::vector<std::string> words = frozen;
  words.insert(words.end(), {"--data.synthetic.classes", "7"});
  const Outcome refused = train("refused", words);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, AllOf(HasSubstr("tensor 'fc.weight' is [10, 128], the model's is [7, 128]"),
                                    HasSubstr("its head 'fc' is for 10 classes, the data have 7"),
                                    HasSubstr("--model.reset_head true")));

  words.insert(words.end(), {"--model.reset_head", "true"});
  const Outcome reset = train("reset", words);
  ASSERT_EQ(reset.exit_code, 0) << reset.output;
  EXPECT_TRUE(at::equal(find("reset", "conv2.weight"), find("a", "conv2.weight")));
  EXPECT_EQ(find("reset", "fc.weight").sizes(), (std::vector<std::int64_t>{7, 128}));
}

TEST_F(TrainOptions, WeightsOfACheckpointOfAnotherModelNameTheModel) {
  ASSERT_EQ(train("a").exit_code, 0);
  const std::string weights = last("a") / "model.safetensors";
  const Outcome refused = train("b", {"--model.name", "linear", "--model.weights", weights});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, AllOf(HasSubstr("'fc.weight'"), HasSubstr("\n  the checkpoint is of model.name = ")));
}

TEST_F(TrainOptions, WeightsThatAreNotThereAreAUsageError) {
  const Outcome outcome = train("a", {"--model.weights", "/nowhere/w.safetensors"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("/nowhere/w.safetensors"));
}

TEST_F(TrainOptions, MissingWeightsAreAUsageErrorThatSaysHowToGetThem) {
  const Outcome outcome = train("a", {"--model.weights", "resnet50"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("[model.weights]"), HasSubstr("data/weights/resnet50.safetensors"),
                                    HasSubstr("make weights NAME=resnet50")));
}

TEST_F(TrainOptions, FolderAsWeightsIsAUsageErrorThatNamesTheFileToGive) {
  const Outcome outcome = train("a", {"--model.weights", "/"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("/ is a folder, not a regular file; for a run's weights, give the "
                                        "model.safetensors of one of its checkpoints"));
}

TEST_F(TrainOptions, AveragedWeightsAreEvaluatedAndSaved) {
  const Outcome trained = train("a", {"--train.ema_decay", "0.9"});
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  ASSERT_TRUE(fs::exists(last("a") / "ema.safetensors"));
  EXPECT_NE(read_text_file(last("a") / "ema.safetensors", "test"),
            read_text_file(last("a") / "model.safetensors", "test"));
  const Outcome evaluated = run_program({TRAINYARD_BINARY, "eval", dir_ / "runs/a"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.output;
  const std::size_t at = trained.output.find("test/accuracy");
  ASSERT_NE(at, std::string::npos);
  const std::string accuracy = trained.output.substr(trained.output.find_first_of("01", at), 6);
  EXPECT_THAT(evaluated.output, HasSubstr(accuracy));
}

TEST_F(TrainOptions, AccumulatesTheRequestedBatchesPerStep) {
  // 8 batches per epoch, 3 per step: two full steps and one of two batches.
  const Outcome outcome = train("a", {"--train.accumulate", "3", "--train.log_every", "1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("6 steps"));
}

TEST_F(TrainOptions, AnEpochEndsAfterTheStepsAskedFor) {
  const Outcome outcome = train("a", {"--train.steps_per_epoch", "3", "--train.epochs", "4"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("epochs  of 3 steps; the run is 1.5 passes over the training data"),
                                    HasSubstr("epoch 4/4"), HasSubstr("4 of 4, 12 steps")));
  const std::string rows = read_text_file(dir_ / "runs/a/metrics.csv", "test");
  EXPECT_EQ(std::count(rows.begin(), rows.end(), '\n'), 1 + 4) << rows;
  const Outcome changed = train("a", {"--train.steps_per_epoch", "4", "--train.epochs", "5"});
  EXPECT_EQ(changed.exit_code, 2);
  EXPECT_THAT(changed.output, HasSubstr("train.steps_per_epoch was 3, now 4"));
}

TEST_F(TrainOptions, ListShowsSizesWhenAsked) {
  const Outcome outcome = run_program({TRAINYARD_BINARY, "list", "models", "-v"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, testing::ContainsRegex("resnet50 +25.56 M +4.09 G"));
}

}  // namespace
}  // namespace trainyard
