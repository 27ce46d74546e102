// A fault of one rank ends all ranks, immediately or after distributed.timeout; the first cause is reported once, with
// rank and host, and no process is left behind.

#include <algorithm>
#include <filesystem>
#include <sstream>

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include "distributed/rank.h"
#include "support/prints.h"
#include "support/processes.h"
#include "support/ranks.h"
#include "support/task_data.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using Flags = std::vector<std::string>;

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

// A run that takes hours if nothing stops it.
std::vector<std::string> long_training(const TempDir& dir, const Flags& more = {}) {
  Flags flags = {"--data.synthetic.samples", "256", "--loader.batch_size", "8", "--loader.workers", "1"};
  flags.insert(flags.end(), more.begin(), more.end());
  return tiny_training(dir / "runs", "run", "100000", flags);
}

std::vector<std::string> with_launcher(std::vector<std::string> command, int ranks) {
  command[0] = TRAINYARD_RANK_PROGRAM;
  command[1] = "train_on_cpus";
  command.insert(command.end(), {"--processes", std::to_string(ranks)});
  return command;
}

std::vector<std::string> with_torchrun(const std::vector<std::string>& command, int ranks) {
  std::vector<std::string> words = {TRAINYARD_PYTHON, "-m",        "torch.distributed.run", "--standalone",
                                    "--log-dir",      "/dev/null", "--nproc-per-node",      std::to_string(ranks),
                                    "--no-python"};
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

// Also checks that no process of the run shares memory that has a name, which could be left behind.
bool trains(const Subprocess& process) {
  const bool begun = prints(process, "epoch 2/");
  EXPECT_THAT(named_shared_memory(process.pid()), IsEmpty());
  return begun;
}

class RankFault : public testing::Test {
 protected:
  void expect_nothing_left() const { EXPECT_EQ(names_in(dir_ / "runs"), std::vector<std::string>{"run"}); }

  TempDir dir_;
};

TEST_F(RankFault, AKilledRankIsNamedOnceAndAllEndAtOnce) {
  // A rank that waited for the time limit would wait longer than a test may take.
  Ranks ranks(3, long_training(dir_, {"--distributed.timeout", "86400"}));
  ASSERT_TRUE(trains(ranks[0])) << ranks[0].output_so_far();
  ranks[1].signal(SIGKILL);
  const std::vector<Outcome> outcomes = ranks.wait();
  std::string all;
  for (const Outcome& outcome : outcomes) all += outcome.output;
  EXPECT_EQ(outcomes[0].exit_code, 1);
  EXPECT_EQ(outcomes[2].exit_code, 1);
  EXPECT_EQ(count_of(all, "was killed"), 1) << all;
  EXPECT_THAT(all, ContainsRegex("\\[distributed\\] rank 1 of 3 on " + host_name() + " .* was killed"));
  expect_nothing_left();
}

TEST_F(RankFault, AHangingRankIsNamedAndEndsWithTheOthers) {
  Subprocess launcher(with_launcher(long_training(dir_, {"--distributed.timeout", "10"}), 2));
  ASSERT_TRUE(trains(launcher)) << launcher.output_so_far();
  const std::vector<pid_t> ranks = ranks_of(launcher);
  ASSERT_EQ(ranks.size(), 2U);
  kill(ranks[1], SIGSTOP);
  const Outcome outcome = launcher.wait();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(count_of(outcome.output, "rank 1 of 2 on " + host_name()), 1) << outcome.output;
  for (const pid_t rank : ranks) EXPECT_TRUE(comes_true([&] { return has_ended(rank); }));
  expect_nothing_left();
}

class DamagedSample : public RankFault, public testing::WithParamInterface<bool> {};

TEST_P(DamagedSample, IsToldOnceWithItsRankAndHost) {
  write_scenes(dir_, "scenes", 48);
  dir_.write("scenes/train/images/17.png", "not an image");
  const std::vector<std::string> command = tiny_training(
      dir_ / "runs", "run", "3",
      {"--task.name", "segmentation", "--data.name", "image_masks", "--data.root", dir_ / "scenes", "--data.channels",
       "1", "--model.name", "linear", "--loader.batch_size", "8", "--loader.workers", "2", "--data.val", "4"});
  const bool launches = GetParam();
  const Outcome outcome = run_program(launches ? with_launcher(command, 2) : with_torchrun(command, 2));
  EXPECT_EQ(outcome.exit_code, 1);
  std::istringstream lines(outcome.output);
  int told = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("17.png") == std::string::npos) continue;
    if (line.starts_with("[loader]") && launches) continue;  // printed by the rank itself; its launcher repeats it last
    EXPECT_THAT(line,
                ContainsRegex("^\\[distributed\\] rank [01] of 2 on " + host_name() + ": \\[loader\\] sample 17"));
    ++told;
  }
  EXPECT_EQ(told, 1) << outcome.output;
  expect_nothing_left();
}

INSTANTIATE_TEST_SUITE_P(By, DamagedSample, testing::Values(true, false),
                         [](const auto& instance) { return instance.param ? "Launcher" : "Torchrun"; });

// The second rank waits for a file, as if it had much data to read.
TEST_F(RankFault, ARankThatHasNotComeIsNamed) {
  const std::vector<std::string> command = tiny_training(dir_ / "runs", "run", "1", {"--distributed.timeout", "5"});
  const std::string file = dir_ / "go";
  const std::string late = fmt::format("until [ -e {} ]; do sleep 0.05; done; exec {}", file, fmt::join(command, " "));
  Ranks ranks({command, {"sh", "-c", late}});
  EXPECT_TRUE(comes_true([&] {
    return ranks[0].output_so_far().find("[distributed] waiting for rank 1 of 2, which has not connected after 5 s") !=
           std::string::npos;
  })) << ranks[0].output_so_far();
  dir_.write("go", "");
  for (const Outcome& outcome : ranks.wait()) EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
}

TEST_F(RankFault, RanksWithOtherSettingsOrDataAreRefused) {
  const std::vector<std::string> one = tiny_training(dir_ / "runs", "run", "3", {"--optimizer.lr", "0.01"});
  const std::vector<std::string> other = tiny_training(dir_ / "runs", "run", "3", {"--optimizer.lr", "0.02"});
  for (const Outcome& outcome : Ranks({one, one, other}).wait()) {
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.output,
                AllOf(HasSubstr("rank 2"), HasSubstr("optimizer.lr = 0.02"), HasSubstr("optimizer.lr = 0.01")));
  }
  write_text(dir_, "one", 2400);
  write_text(dir_, "other", 2600);
  const auto on = [&](const char* data) {
    return tiny_training(
        dir_ / "runs", "run", "3",
        {"--task.name", "language_model", "--data.name", "text", "--data.root", dir_ / data, "--data.text.context",
         "16", "--model.name", "gpt", "--model.gpt.layers", "1", "--model.gpt.heads", "1", "--model.gpt.width", "8"});
  };
  for (const Outcome& outcome : Ranks({on("one"), on("other")}).wait()) {
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.output, AllOf(HasSubstr("rank 1"), HasSubstr("fingerprint of train")));
  }
  EXPECT_FALSE(fs::exists(dir_ / "runs/run")) << "nothing was trained";
}

TEST_F(RankFault, RestartsThatAnotherLauncherDecidesAboutAreNotPromised) {
  const std::vector<Outcome> outcomes =
      Ranks(2, tiny_training(dir_ / "runs", "run", "1", {"--distributed.max_restarts", "3"})).wait();
  EXPECT_EQ(outcomes[0].exit_code, 0) << outcomes[0].output;
  EXPECT_THAT(outcomes[0].output, HasSubstr("distributed.max_restarts = 3 has no effect: torchrun has started"));
  EXPECT_THAT(outcomes[1].output, Not(HasSubstr("max_restarts")));
}

// Only rank 0 looks for the checkpoint.
TEST_F(RankFault, AnErrorOfOneRankBeforeTheyConnectEndsAll) {
  const std::vector<std::string> command =
      tiny_training(dir_ / "runs", "run", "1", {"--run.resume", dir_ / "none", "--distributed.timeout", "86400"});
  const std::vector<Outcome> outcomes = Ranks(3, command).wait();
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
  EXPECT_THAT(outcomes[0].output, HasSubstr("[checkpoint] there is no checkpoint"));
  EXPECT_THAT(outcomes[1].output, ContainsRegex("^\\[distributed\\] rank 0 of 3 on " + host_name() +
                                                ": \\[checkpoint\\] there is no .*; rank 1 ends with it"));
  EXPECT_THAT(outcomes[2].output, IsEmpty()) << "one rank of a host speaks for it";
}

TEST_F(RankFault, AnErrorInTheDataOfOneHostEndsAll) {
  write_text(dir_, "text", 2400);
  const auto on = [&](const std::string& data) {
    return tiny_training(dir_ / "runs", "run", "1",
                         {"--task.name", "language_model", "--data.name", "text", "--data.root", dir_ / data,
                          "--data.text.context", "16", "--model.name", "gpt", "--distributed.timeout", "86400"});
  };
  std::vector<std::vector<std::string>> commands = {on("text"), on("none")};
  for (std::vector<std::string>& command : commands) {
    command.insert(command.begin(), {"env", "LOCAL_RANK=0", "LOCAL_WORLD_SIZE=1"});  // as if on a host of its own
  }
  const std::vector<Outcome> outcomes = Ranks(commands).wait();
  EXPECT_EQ(outcomes[0].exit_code, 2);
  EXPECT_EQ(outcomes[1].exit_code, 2);
  EXPECT_THAT(outcomes[0].output, ContainsRegex("\\[distributed\\] rank 1 of 2 on " + host_name() +
                                                ": \\[data.root\\] .*; rank 0 ends with it"));
  EXPECT_THAT(outcomes[1].output, HasSubstr("[data.root]"));
}

TEST_F(RankFault, AUsageErrorEndsRanksThatHaveNotFoundItWithItsCode) {
  for (const std::string stuck : {"0", "1"}) {
    std::vector<std::string> command =
        tiny_training(dir_ / "runs", "run", "1",
                      {"--model.name", "stuck", "--loader.batch_size", "1000", "--loader.drop_last", "true"});
    command[0] = TRAINYARD_RANK_PROGRAM;
    command.insert(command.begin(), {"env", "STUCK_RANK=" + stuck});
    std::string all;
    for (const Outcome& outcome : Ranks(2, command).wait()) {
      EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
      all += outcome.output;
    }
    EXPECT_THAT(all, HasSubstr("[loader.drop_last]")) << stuck;
  }
}

TEST_F(RankFault, ASignalToOneRankStopsAllAtOneStep) {
  const std::vector<std::string> command = long_training(dir_);
  Ranks ranks(3, command);
  ASSERT_TRUE(trains(ranks[0])) << ranks[0].output_so_far();
  ranks[2].signal(SIGTERM);
  const std::vector<Outcome> outcomes = ranks.wait();
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.exit_code, 128 + SIGTERM) << outcome.output;
  EXPECT_EQ(count_of(outcomes[0].output, "stopped by signal 15 after step "), 1);
  expect_nothing_left();
}

// Four steps, then an evaluation of minutes.
TEST_F(RankFault, ASignalToOneRankStopsTheEvaluationOfAll) {
  Ranks ranks(
      3, tiny_training(dir_ / "runs", "run", "1",
                       {"--data.synthetic.samples", "3000000", "--data.val", "2999936", "--train.log_every", "1"}));
  ASSERT_TRUE(comes_true([&] {
    const std::string lines = dir_ / "runs/run/metrics.jsonl";
    return fs::exists(lines) && read_text_file(lines, "test").find("\"step\":4") != std::string::npos;
  })) << ranks[0].output_so_far();
  ranks[2].signal(SIGTERM);
  const std::vector<Outcome> outcomes = ranks.wait();
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.exit_code, 128 + SIGTERM) << outcome.output;
  EXPECT_EQ(count_of(outcomes[0].output, "stopped by signal 15 after step 4:"), 1) << outcomes[0].output;
  EXPECT_TRUE(fs::exists(dir_ / "runs/run/checkpoints/step-00000004"));
  expect_nothing_left();
}

TEST_F(RankFault, ASignalToTheLauncherStopsAllAndOneToARankSaves) {
  Subprocess launcher(with_launcher(long_training(dir_), 2));
  ASSERT_TRUE(trains(launcher)) << launcher.output_so_far();
  const std::vector<pid_t> ranks = ranks_of(launcher);
  ASSERT_EQ(ranks.size(), 2U);
  kill(ranks[1], SIGUSR1);
  EXPECT_TRUE(prints(launcher, "SIGUSR1: saving step "));
  launcher.signal(SIGTERM);
  const Outcome outcome = launcher.wait();
  EXPECT_EQ(outcome.exit_code, 128 + SIGTERM) << outcome.output;
  EXPECT_EQ(count_of(outcome.output, "stopped by signal 15 after step "), 1) << outcome.output;
  EXPECT_THAT(outcome.output, Not(HasSubstr("[distributed] rank")));
  expect_nothing_left();
}

}  // namespace
}  // namespace trainyard
