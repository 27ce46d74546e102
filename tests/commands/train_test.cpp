// Runs the program on a small slice of Fashion-MNIST.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/stat.h>

#include "checkpoint/manifest_example.h"
#include "checkpoint/safetensors_torch.h"
#include "datasets/dataset.h"
#include "support/idx_files.h"
#include "support/prints.h"
#include "support/processes.h"
#include "support/read_field.h"
#include "support/step_losses.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"
#include "util/system.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Writes the first `count` images of a split as IDX files.
void write_slice(const TempDir& dir, Split split, std::size_t count) {
  const auto dataset = make_dataset({.name = "fashion_mnist"}, split);
  std::string images(count * dataset->fields()[0].bytes(), '\0');
  std::string labels(count, '\0');
  for (std::size_t i = 0; i < count; ++i) {
    const std::span<char> image(images.data() + i * dataset->fields()[0].bytes(), dataset->fields()[0].bytes());
    labels[i] = static_cast<char>(read_field(*dataset, i, std::as_writable_bytes(image)));
  }
  const auto n = static_cast<std::uint32_t>(count);
  const std::string prefix = split == Split::train ? "data/train" : "data/t10k";
  dir.write(prefix + "-images-idx3-ubyte", idx_file({n, 28, 28}, images));
  dir.write(prefix + "-labels-idx1-ubyte", idx_file({n}, labels));
}

class TrainCommand : public testing::Test {
 protected:
  TrainCommand() {
    write_slice(dir_, Split::train, 770);
    write_slice(dir_, Split::test, 200);
  }

  std::vector<std::string> command(const std::string& run, std::vector<std::string> more,
                                   const std::string& log_every = "1") const {
    std::vector<std::string> words = {TRAINYARD_BINARY,    "train",       "--config",       config(),
                                      "--data.root",       dir_ / "data", "--train.device", "cpu",
                                      "--run.dir",         dir_ / "runs", "--run.name",     run,
                                      "--train.log_every", log_every};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  static std::string config() { return TRAINYARD_SOURCE_DIR "/configs/fashion_mnist.toml"; }

  Outcome train(const std::string& run, const std::vector<std::string>& more = {},
                const std::string& log_every = "1") const {
    return run_program(command(run, more, log_every));
  }

  std::string file(const std::string& run, const std::string& name) const {
    return read_text_file(dir_ / ("runs/" + run + "/" + name), "test");
  }

  std::vector<std::pair<double, double>> losses(const std::string& run) const {
    return step_losses(dir_ / ("runs/" + run));
  }

  TempDir dir_;
};

TEST_F(TrainCommand, TrainsAndLeavesAWholeRunBehind) {
  const Outcome outcome = train("a", {"--train.epochs", "2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("data    train 693 samples"), HasSubstr("val   77 samples"),
                    HasSubstr("taken out of train (data.val)"), HasSubstr("test  200 samples"),
                    HasSubstr("on all 77 samples, val/loss"), HasSubstr("on all 200 samples, test/loss")));
  const std::string csv = file("a", "metrics.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 3);
  EXPECT_EQ(losses("a").size(), 12u);
  for (const char* name : {"config.toml", "check.json", "checkpoints/last/manifest.json",
                           "checkpoints/best/model.safetensors", "checkpoints/last/state.safetensors"}) {
    EXPECT_TRUE(std::filesystem::exists(dir_ / ("runs/a/" + std::string(name)))) << name;
  }
}

// Both the soft and the hard limit, in KiB.
TEST_F(TrainCommand, NeedsNoMoreThanASmallStack) {
  const auto under = [&](const std::string& limit) {
    return run_program({"sh", "-c", fmt::format("ulimit {}; exec {}", limit, fmt::join(command("a", {}, "1"), " "))});
  };
  const Outcome small = under("-s 256");
  EXPECT_EQ(small.exit_code, 0) << small.output;
  const Outcome soft = under("-S -s 128");
  EXPECT_EQ(soft.exit_code, 0) << soft.output;
  const Outcome tiny = under("-s 128");
  EXPECT_EQ(tiny.exit_code, 3);
  EXPECT_EQ(tiny.output,
            "[limits] the stack is limited to 128 KiB (`ulimit -Hs`), and 256 KiB are needed; raise it: "
            "`ulimit -s 8192`, or in a container --ulimit stack=8388608\n");
}

TEST_F(TrainCommand, GivesTheSameLossesWithAnyNumberOfWorkers) {
  const std::vector<std::string> augmented = {"--train.epochs",    "2",
                                              "--transform.train", "random_crop(padding=2)",
                                              "--transform.train", "random_horizontal_flip"};
  std::vector<std::pair<double, double>> expected;
  for (const char* workers : {"0", "1", "2", "4"}) {
    std::vector<std::string> words = augmented;
    words.insert(words.end(), {"--loader.workers", workers});
    const std::string run = std::string("workers-") + workers;
    const Outcome outcome = train(run, words);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
    if (expected.empty()) expected = losses(run);
    EXPECT_EQ(losses(run), expected) << workers << " workers";
  }
}

TEST_F(TrainCommand, AnotherSeedGivesOtherLosses) {
  ASSERT_EQ(train("seed-0", {"--train.epochs", "1"}).exit_code, 0);
  ASSERT_EQ(train("seed-1", {"--train.epochs", "1", "--train.seed", "1"}).exit_code, 0);
  EXPECT_NE(losses("seed-0"), losses("seed-1"));
}

TEST_F(TrainCommand, ResolvedConfigurationReproducesTheRun) {
  ASSERT_EQ(train("first", {"--train.epochs", "1", "--optimizer.lr", "0.03", "--train.seed", "9"}).exit_code, 0);
  const Outcome again =
      run_program({TRAINYARD_BINARY, "train", "--config", dir_ / "runs/first/config.toml", "--run.name", "second"});
  ASSERT_EQ(again.exit_code, 0) << again.output;
  EXPECT_EQ(losses("first"), losses("second"));
}

TEST_F(TrainCommand, SeveralConfigurationsAreSavedAsOneAndResume) {
  const std::string mine = dir_.write("mine.toml", "[optimizer]\nname = 'adamw'\nlr = 0.01\n[train]\nepochs = 1\n");
  const std::string longer = dir_.write("longer.toml", "train.epochs = 2\n");
  ASSERT_EQ(train("a", {"--config", mine}).exit_code, 0);
  EXPECT_THAT(file("a", "config.toml"),
              AllOf(HasSubstr("\nname = \"adamw\"\n"), HasSubstr("\nlr = 0.01\n"), HasSubstr("\nepochs = 1\n"),
                    HasSubstr("\nlabel_smoothing = 0.1\n"), Not(HasSubstr("momentum"))));
  const Outcome same = train("a", {"--config", mine, "--config", longer});
  EXPECT_EQ(same.exit_code, 0) << same.output;
  EXPECT_THAT(same.output, AllOf(HasSubstr("resuming from"), HasSubstr("train.epochs was 1, now 2")));
  const Outcome saved =
      run_program({TRAINYARD_BINARY, "train", "--config", dir_ / "runs/a/config.toml", "--train.epochs", "3"});
  EXPECT_EQ(saved.exit_code, 0) << saved.output;
  EXPECT_THAT(saved.output, AllOf(HasSubstr("resuming from"), HasSubstr("train.epochs was 2, now 3")));
}

TEST_F(TrainCommand, ResumesMidEpochBitForBit) {
  ASSERT_EQ(train("whole", {"--train.epochs", "3"}).exit_code, 0);

  Subprocess child(command("parts", {"--train.epochs", "3"}));
  const std::string jsonl = dir_ / "runs/parts/metrics.jsonl";
  ASSERT_TRUE(comes_true([&] {  // until the second epoch
    return std::filesystem::exists(jsonl) && read_text_file(jsonl, "test").find("\"epoch\":2") != std::string::npos;
  })) << child.output_so_far();
  child.signal(SIGTERM);
  const Outcome stopped = child.wait();
  ASSERT_EQ(stopped.exit_code, 128 + SIGTERM) << stopped.output;
  EXPECT_THAT(stopped.output, HasSubstr("rerun the same command to resume"));

  const Outcome resumed = train("parts", {"--train.epochs", "3", "--loader.workers", "1"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  EXPECT_THAT(resumed.output, HasSubstr("resuming from step-"));
  EXPECT_EQ(losses("parts"), losses("whole"));
  EXPECT_EQ(file("parts", "checkpoints/last/model.safetensors"), file("whole", "checkpoints/last/model.safetensors"));
}

// Four steps, then an evaluation of seconds.
TEST(TrainSignals, StopTheLastEvaluationWhichAResumeRepeats) {
  const TempDir dir;
  const std::vector<std::string> command = tiny_training(
      dir / "runs", "a", "1", {"--data.synthetic.samples", "200000", "--data.val", "199936", "--train.log_every", "1"});
  Subprocess child(command);
  ASSERT_TRUE(comes_true([&] {
    const std::string lines = dir / "runs/a/metrics.jsonl";
    return std::filesystem::exists(lines) && read_text_file(lines, "test").find("\"step\":4") != std::string::npos;
  })) << child.output_so_far();
  child.signal(SIGINT);
  const Outcome stopped = child.wait();
  EXPECT_EQ(stopped.exit_code, 128 + SIGINT);
  EXPECT_THAT(stopped.output, AllOf(HasSubstr("stopped by signal 2 after step 4"), HasSubstr("0 of 1, 4 steps")));
  const Outcome resumed = run_program(command);
  EXPECT_EQ(resumed.exit_code, 0) << resumed.output;
  EXPECT_THAT(resumed.output, AllOf(HasSubstr("resuming from step-00000004"), HasSubstr("on all 199936 samples"),
                                    HasSubstr("test/accuracy"), Not(HasSubstr("finished already"))));
}

// A model of 1.2 GB, whose weights take seconds.
TEST(TrainSignals, EndItAtOnceWhileWeightsAreInitialized) {
  const TempDir dir;
  Subprocess child({TRAINYARD_BINARY, "train", "--data.name", "csv", "--data.root", TRAINYARD_SOURCE_DIR "/data/houses",
                    "--data.csv.target", "price", "--model.name", "mlp", "--model.mlp.width", "10000",
                    "--model.mlp.depth", "4", "--train.device", "cpu", "--run.dir", dir / "runs"});
  ASSERT_TRUE(prints(child, "\ndata "));
  child.signal(SIGTERM);
  const Outcome stopped = child.wait();
  EXPECT_EQ(stopped.exit_code, 128 + SIGTERM);
  EXPECT_THAT(stopped.output, Not(HasSubstr("stopped by signal")));
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST_F(TrainCommand, FirstLineAfterAResumeAveragesSinceTheLineBefore) {
  const std::vector<std::string> more = {"--train.epochs", "2", "--checkpoint.every_steps", "2"};
  ASSERT_EQ(train("whole", more, "4").exit_code, 0);
  // Back to the checkpoint of step 6, two steps after the line of step 4.
  ASSERT_EQ(train("parts", {"--train.epochs", "2", "--checkpoint.every_steps", "2", "--checkpoint.keep", "100"}, "4")
                .exit_code,
            0);
  for (const auto& entry : std::filesystem::directory_iterator(dir_ / "runs/parts/checkpoints")) {
    if (entry.path().filename() > "step-00000006") std::filesystem::remove_all(entry.path());
  }
  const Outcome resumed = train("parts", more, "4");
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  EXPECT_THAT(resumed.output, HasSubstr("resuming from step-00000006"));
  EXPECT_EQ(losses("parts"), losses("whole"));
  EXPECT_EQ(losses("whole").size(), 3u) << "steps 4, 8 and 12";
}

TEST_F(TrainCommand, EpochsShorterThanLogEveryHaveALineEach) {
  ASSERT_EQ(train("a", {"--train.epochs", "2"}, "50").exit_code, 0);
  EXPECT_EQ(losses("a").size(), 2u);
}

TEST_F(TrainCommand, TheLastStepOfTheRunIsLogged) {
  ASSERT_EQ(train("a", {"--train.epochs", "1"}, "4").exit_code, 0);
  EXPECT_EQ(losses("a").size(), 2u) << "steps 4 and 6";
}

TEST_F(TrainCommand, TrainingLossWithLabelSmoothingSaysSo) {
  const Outcome outcome = train("a", {"--train.epochs", "1", "--task.classification.label_smoothing", "0.1",
                                      "--task.classification.mixup", "0.2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output,
              testing::ContainsRegex("train/loss [0-9.]+ .with label smoothing, mixup. train/accuracy"));
}

TEST_F(TrainCommand, AChangedSettingOfANamedRunIsShown) {
  ASSERT_EQ(train("a", {"--train.epochs", "1"}).exit_code, 0);
  const Outcome outcome = train("a", {"--train.epochs", "2"});
  EXPECT_THAT(outcome.output, HasSubstr("train.epochs was 1, now 2"));
}

TEST_F(TrainCommand, ThePreparedDebuggingStartsAnyNumberOfTimes) {
  const nlohmann::json launch =
      nlohmann::json::parse(read_text_file(TRAINYARD_SOURCE_DIR "/.vscode/launch.json", "test"));
  std::vector<std::string> words = launch["configurations"][0]["args"];
  const auto dir = std::find(words.begin(), words.end(), "--run.dir");
  ASSERT_NE(dir, words.end());
  *(dir + 1) = dir_ / "runs";
  *std::find(words.begin(), words.end(), "configs/fashion_mnist.toml") = config();
  words.insert(words.begin(), TRAINYARD_BINARY);
  words.insert(words.end(), {"--data.root", dir_ / "data", "--train.epochs", "1", "--train.device", "cpu"});
  for (const char* run : {"fashion_mnist-convnet", "fashion_mnist-convnet-2"}) {
    const Outcome outcome = run_program(words);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_TRUE(std::filesystem::exists(dir_ / ("runs/" + std::string(run) + "/checkpoints/last"))) << run;
  }
}

TEST_F(TrainCommand, FinishedRunHasNothingLeftToDo) {
  ASSERT_EQ(train("a", {"--train.epochs", "1"}).exit_code, 0);
  const Outcome again = train("a", {"--train.epochs", "1"});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.output, AllOf(HasSubstr("is finished already, after 1 epoch: nothing left to train"),
                                  HasSubstr("--train.epochs N")));
  EXPECT_THAT(again.output, Not(HasSubstr("report ")));
  EXPECT_EQ(losses("a").size(), 6u) << "the metrics must still be there";
}

TEST_F(TrainCommand, AFinishedRunThatWasStoppedBeforeItsReportGetsOne) {
  ASSERT_EQ(train("a", {"--train.epochs", "1"}).exit_code, 0);
  const std::string page = dir_ / "runs/a/report.html";
  ASSERT_TRUE(std::filesystem::remove(page));
  const Outcome again = train("a", {"--train.epochs", "1"});
  EXPECT_EQ(again.exit_code, 0) << again.output;
  EXPECT_THAT(again.output, AllOf(HasSubstr("is finished already"), HasSubstr("test/accuracy"), HasSubstr(page)));
  EXPECT_TRUE(std::filesystem::exists(page));
}

TEST_F(TrainCommand, APipeInTheReportsPlaceIsNotWaitedFor) {
  ASSERT_EQ(train("a", {"--train.epochs", "1"}).exit_code, 0);
  const std::string page = dir_ / "runs/a/report.html";
  ASSERT_TRUE(std::filesystem::remove(page));
  ASSERT_EQ(mkfifo(page.c_str(), 0600), 0);
  const Outcome again = train("a", {"--train.epochs", "2"});
  EXPECT_EQ(again.exit_code, 0) << again.output;
  EXPECT_THAT(again.output, AllOf(HasSubstr("test/accuracy"), HasSubstr(page + " is a pipe that no program reads")));
}

TEST_F(TrainCommand, StopsEarlyOnceValHasNotImprovedForLongEnough) {
  const std::vector<std::string> words = {"--train.epochs",  "30",      "--train.patience", "2",
                                          "--schedule.name", "constant"};
  const Outcome trained = train("a", words);
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  EXPECT_THAT(trained.output, HasSubstr("(stopped early: none of 2 epochs after epoch "));
  const std::string csv = file("a", "metrics.csv");
  const std::ptrdiff_t epochs = std::count(csv.begin(), csv.end(), '\n') - 1;
  EXPECT_LT(epochs, 30);
  EXPECT_THAT(trained.output,
              HasSubstr(fmt::format("val/accuracy {} after epoch {}",
                                    trained.output.substr(trained.output.rfind("val/accuracy ") + 13, 6), epochs - 2)));
  const Outcome again = train("a", words);
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.output, AllOf(HasSubstr("is finished already"), HasSubstr("stopped early"),
                                  HasSubstr("More: --train.patience N")));
  const Outcome longer = train("a", {"--train.epochs", std::to_string(epochs + 1), "--schedule.name", "constant"});
  EXPECT_EQ(longer.exit_code, 0) << longer.output;
  EXPECT_THAT(longer.output, AllOf(HasSubstr("resuming from step-"), HasSubstr("train.patience was 2, now 0")));
}

TEST_F(TrainCommand, ReportsARateThatFollowsVal) {
  const Outcome trained = train("a", {"--train.epochs", "3", "--schedule.name", "plateau", "--schedule.warmup_epochs",
                                      "0", "--schedule.plateau.patience", "0", "--schedule.plateau.threshold", "1"});
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  EXPECT_THAT(trained.output,
              HasSubstr("lr      0.02 instead of 0.2, as schedule.name = plateau follows val/accuracy"));
}

TEST_F(TrainCommand, ACheckpointOfVersion1IsRefusedAndItsWeightsAreUsable) {
  ASSERT_EQ(train("a", {"--train.epochs", "1"}).exit_code, 0);
  nlohmann::json manifest = nlohmann::json::parse(file("a", "checkpoints/last/manifest.json"));
  manifest["format_version"] = 1;
  dir_.write("runs/a/checkpoints/last/manifest.json", sealed(manifest));
  const Outcome resumed = train("a", {"--train.epochs", "2"});
  const Outcome evaluated = run_program({TRAINYARD_BINARY, "eval", dir_ / "runs/a"});
  for (const Outcome& outcome : {resumed, evaluated}) {
    EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
    EXPECT_THAT(outcome.output, AllOf(HasSubstr("format version 1"), HasSubstr("--model.weights")));
  }
  const Outcome tuned =
      train("b", {"--train.epochs", "1", "--model.weights", dir_ / "runs/a/checkpoints/last/model.safetensors"});
  EXPECT_EQ(tuned.exit_code, 0) << tuned.output;
}

TEST_F(TrainCommand, AnotherSplitForValIsAnotherRun) {
  ASSERT_EQ(train("a", {"--train.epochs", "1"}).exit_code, 0);
  const Outcome other = train("a", {"--train.epochs", "2", "--data.val_seed", "1"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.output, HasSubstr("data.val_seed was 0, now 1"));
}

TEST_F(TrainCommand, AnotherModelInTheSameRunIsRefusedWithTheDifference) {
  ASSERT_EQ(train("a", {"--train.epochs", "1"}).exit_code, 0);
  const std::string before = file("a", "config.toml");
  const Outcome other = train("a", {"--model.name", "resnet18", "--model.resnet.stem", "small"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.output, HasSubstr("model.name was \"convnet\", now \"resnet18\""));
  EXPECT_EQ(file("a", "config.toml"), before);
}

TEST_F(TrainCommand, OtherDataInTheSameRunIsRefused) {
  ASSERT_EQ(train("a", {"--train.epochs", "1"}).exit_code, 0);
  write_slice(dir_, Split::train, 769);
  const Outcome other = train("a", {"--train.epochs", "2"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.output, HasSubstr("fingerprint"));
}

TEST_F(TrainCommand, EvalReadsEverythingFromTheCheckpoint) {
  const Outcome trained = train("a", {"--train.epochs", "1"});
  ASSERT_EQ(trained.exit_code, 0);
  const std::string accuracy = trained.output.substr(trained.output.find("test/accuracy  ") + 15, 6);
  const Outcome evaluated = run_program({TRAINYARD_BINARY, "eval", dir_ / "runs/a"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.output;
  EXPECT_THAT(evaluated.output, HasSubstr("test/accuracy  " + accuracy + " on all 200 samples"));
}

TEST_F(TrainCommand, DivergedLossEndsTheRunAndKeepsTheLastCheckpoint) {
  ASSERT_EQ(train("a", {"--train.epochs", "1"}).exit_code, 0);
  // Weight decay alone multiplies the weights by 500 per step; after how many steps they overflow depends on the CPU.
  const Outcome diverged = train("a", {"--train.epochs", "10", "--optimizer.lr", "1e6", "--schedule.name", "constant"});
  EXPECT_EQ(diverged.exit_code, 1) << diverged.output;
  EXPECT_THAT(diverged.output, AllOf(HasSubstr("the loss is"), HasSubstr("at step "), HasSubstr("epoch "),
                                     HasSubstr("learning rate 1000000"), HasSubstr("samples of the batch: ")));
  EXPECT_EQ(run_program({TRAINYARD_BINARY, "eval", dir_ / "runs/a"}).exit_code, 0);
}

struct Mistake {
  const char* name;
  std::vector<std::string> words;
  std::string expected;
};

class CommandLineMistake : public testing::TestWithParam<Mistake> {};

TEST_P(CommandLineMistake, EndsWithTwoAndSaysWhatIsAllowed) {
  const TempDir dir;
  std::vector<std::string> words = GetParam().words;
  words.insert(words.begin(), TRAINYARD_BINARY);
  if (words.size() > 1 && words[1] == "train") words.insert(words.end(), {"--run.dir", dir / "runs"});
  const Outcome outcome = run_program(words);
  EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("["), HasSubstr(GetParam().expected)));
  EXPECT_FALSE(std::filesystem::exists(dir / "runs")) << "nothing may be left behind";
}

INSTANTIATE_TEST_SUITE_P(
    TrainCommand, CommandLineMistake,
    testing::Values(
        Mistake{"no_command", {}, "a command is missing"},
        Mistake{"unknown_command", {"trian"}, "did you mean 'train'?"},
        Mistake{"flag_before_the_command", {"--json", "eval", "x"}, "stands before the command"},
        Mistake{"missing_argument", {"eval"}, "checkpoint is required"},
        Mistake{"flag_before_a_missing_argument", {"eval", "--jsn"}, "did you mean '--json'?"},
        Mistake{"positional_argument", {"train", "train.epochs=3"}, "did you mean '--train.epochs'?"},
        Mistake{"second_item_of_a_list_without_its_flag",
                {"train", "--transform.train", "random_crop", "random_horizontal_flip"},
                "the flag of a list is given once for each item"},
        Mistake{"flag_without_value", {"train", "--train.epochs"}, "needs a value: a whole number"},
        Mistake{"flag_given_twice", {"train", "--train.epochs", "3", "--train.epochs", "3"}, "is given twice"},
        Mistake{"range_of_an_argument", {"predict", "x", "y", "--top", "0"}, "1 to 1000"},
        Mistake{"choice_of_an_argument", {"pack", "x", "--as", "jpg"}, "nearest first: jpeg"},
        Mistake{"misspelt_flag", {"train", "--model.nmae", "convnet"}, "did you mean '--model.name'"},
        Mistake{"unknown_model", {"train", "--model.name", "resnet81"}, "nearest first: resnet"},
        Mistake{"unknown_dataset", {"train", "--data.name", "cifar"}, "cifar10"},
        Mistake{"negative_epochs", {"train", "--train.epochs", "-3"}, "train.epochs"},
        Mistake{"batch_size_zero", {"train", "--loader.batch_size", "0"}, "from 1 to"},
        Mistake{"too_many_workers", {"train", "--loader.workers", "5000"}, "from 0 to 256"},
        Mistake{"missing_root", {"train", "--data.root", "/nowhere/at/all"}, "/nowhere/at/all"},
        Mistake{"missing_config", {"train", "--config", "/nowhere.toml"}, "/nowhere.toml"},
        Mistake{"folder_as_config", {"train", "--config", "/"}, "is a folder"},
        Mistake{
            "value_that_another_file_makes_wrong",
            {"train", "--config", TRAINYARD_SOURCE_DIR "/configs/fashion_mnist.toml", "--schedule.warmup_epochs", "5"},
            "train.epochs is set in " TRAINYARD_SOURCE_DIR "/configs/fashion_mnist.toml:29:1"},
        Mistake{"unknown_transform", {"train", "--transform.train", "random_corp"}, "random_crop"},
        Mistake{"unknown_argument_of_a_transform",
                {"train", "--transform.test", "random_crop(paddin=3)"},
                "has no argument 'paddin'"},
        Mistake{
            "text_that_is_not_utf8", {"train", "--data.root", "\xff"}, "--data.root is '\\xff', which is not UTF-8"},
        Mistake{"random_transform_with_gpu_cache",
                {"train", "--data.name", "synthetic", "--loader.cache", "gpu", "--transform.train", "random_crop"},
                "'random_crop' of transform.train is drawn anew"},
        Mistake{"gpu_cache_on_the_cpu",
                {"train", "--data.name", "synthetic", "--loader.cache", "gpu", "--train.device", "cpu"},
                "train.device is cpu"},
        Mistake{"unknown_optimizer", {"train", "--optimizer.name", "sgdd", "--data.name", "synthetic"}, "sgd"},
        Mistake{"no_checkpoint", {"eval", "/nowhere"}, "/nowhere"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(TrainyardProgram, VersionNamesEverythingLinkedIn) {
  const Outcome outcome = run_program({TRAINYARD_BINARY, "--version"});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* part : {"trainyard ", "LibTorch ", "CUDA", "cuDNN", "NCCL"})
    EXPECT_THAT(outcome.output, HasSubstr(part));
}

TEST(TrainyardProgram, HelpNamesEveryCommandAndSection) {
  const Outcome train = run_program({TRAINYARD_BINARY, "train", "--help"}, {"COLUMNS=80"});
  EXPECT_EQ(train.exit_code, 0);
  for (const char* part : {"--train.dry_run", "--loader.workers 0..256", "[optimizer]", "true|false", "(128)"}) {
    EXPECT_THAT(train.output, HasSubstr(part));
  }
  EXPECT_THAT(train.output, Not(HasSubstr("started_in")));
  EXPECT_EQ(run_program({TRAINYARD_BINARY, "help", "train"}, {"COLUMNS=80"}).output, train.output);

  const Outcome top = run_program({TRAINYARD_BINARY, "--help"});
  EXPECT_EQ(top.exit_code, 0);
  for (const char* part : {"train", "eval", "predict", "report", "check", "list"}) {
    EXPECT_THAT(top.output, HasSubstr(part));
  }
}

TEST(TrainyardProgram, HelpFitsTheTerminal) {
  for (const std::size_t columns : {40, 80, 100}) {
    const std::vector<std::string> environment = {"COLUMNS=" + std::to_string(columns)};
    for (const auto& words : {std::vector<std::string>{"train", "--help"}, {"list"}}) {
      std::vector<std::string> command = {TRAINYARD_BINARY};
      command.insert(command.end(), words.begin(), words.end());
      std::istringstream lines(run_program(command, environment).output);
      for (std::string line; std::getline(lines, line);) {
        // A flag and its values stay on one line.
        if (line.starts_with("  --")) continue;
        EXPECT_LE(line.size(), columns) << line;
      }
    }
  }
}

TEST(TrainyardProgram, ListNamesWhatIsRegistered) {
  const Outcome outcome = run_program({TRAINYARD_BINARY, "list"});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* part : {"convnet", "resnet50", "fashion_mnist", "cifar10", "synthetic", "random_crop", "adamw"}) {
    EXPECT_THAT(outcome.output, HasSubstr(part));
  }
  EXPECT_THAT(run_program({TRAINYARD_BINARY, "list", "models"}).output,
              AllOf(HasSubstr("convnet"), Not(HasSubstr("sgd"))));
}

}  // namespace
}  // namespace trainyard
