// Sends signals to the program where nothing can be saved: commands that only read, and training that has not begun.

#include <gmock/gmock.h>
#include <signal.h>

#include "support/prints.h"
#include "support/processes.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"

namespace trainyard {
namespace {

using testing::HasSubstr;
using Words = std::vector<std::string>;

const Words as_process_one = {"unshare", "--map-root-user", "--fork", "--pid", "--mount-proc"};

bool can_be_process_one() {
  Words command = as_process_one;
  command.emplace_back("true");
  return run_program(command).exit_code == 0;
}

Outcome outcome_as_process_one(const Words& command, int signal, const std::string& after) {
  Words words = as_process_one;
  words.insert(words.end(), command.begin(), command.end());
  Subprocess process(words);
  EXPECT_TRUE(prints(process, after));
  kill(children_of(process.pid()).at(0), signal);
  return process.wait();
}

TEST(SignalsOfProcessOne, EndItAtOnceBeforeTraining) {
  if (!can_be_process_one()) GTEST_SKIP() << "no process may have a namespace of processes of its own here";
  const TempDir dir;
  const std::string houses = TRAINYARD_SOURCE_DIR "/data/houses";
  const Words large = {TRAINYARD_BINARY,    "train", "--data.name",    "csv", "--data.root",       houses,
                       "--data.csv.target", "price", "--model.name",   "mlp", "--model.mlp.width", "10000",
                       "--model.mlp.depth", "4",     "--train.device", "cpu", "--run.dir",         dir / "runs"};
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    EXPECT_EQ(outcome_as_process_one(large, signal, "\ndata ").exit_code, 128 + signal);
  }
}

TEST(SignalsOfProcessOne, SaveOnceItTrains) {
  if (!can_be_process_one()) GTEST_SKIP() << "no process may have a namespace of processes of its own here";
  const TempDir dir;
  const Outcome stopped = outcome_as_process_one(tiny_training(dir / "runs", "a", "100000"), SIGTERM, "epoch 1/");
  EXPECT_EQ(stopped.exit_code, 128 + SIGTERM);
  EXPECT_THAT(stopped.output, HasSubstr("stopped by signal 15 after step "));
}

TEST(SaveSignal, BeforeTrainingIsKeptUntilTheFirstStep) {
  const TempDir dir;
  Subprocess process(tiny_training(dir / "runs", "a", "100000", {"--train.log_every", "1"}));
  ASSERT_TRUE(prints(process, "machine:"));
  process.signal(SIGUSR1);
  EXPECT_TRUE(prints(process, "SIGUSR1: saving step "));
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait().exit_code, 128 + SIGTERM);
}

TEST(SaveSignal, WhileLibrariesAreInitializedIsHeldBack) {
  const Outcome outcome = run_program({TRAINYARD_BINARY, "--version"}, {"LD_PRELOAD=" TRAINYARD_RAISES_SIGUSR1});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("SIGUSR1 is raised"));
}

TEST(SaveSignal, DoesNotEndACommandThatSavesNothing) {
  Subprocess process({TRAINYARD_BINARY, "data", "--data.name", "synthetic", "--data.synthetic.samples", "5000000"});
  ASSERT_TRUE(prints(process, "class 9"));
  process.signal(SIGUSR1);
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait().exit_code, 128 + SIGTERM);
}

}  // namespace
}  // namespace trainyard
