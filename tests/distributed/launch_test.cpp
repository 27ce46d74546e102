#include "distributed/launch.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "support/prints.h"
#include "support/processes.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "util/system.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

// launch_program.cpp defines the actions.
std::vector<std::string> launch_of(const std::vector<std::string>& actions, int restarts = 0) {
  std::vector<std::string> command = {TRAINYARD_LAUNCH_PROGRAM, std::to_string(restarts)};
  command.insert(command.end(), actions.begin(), actions.end());
  return command;
}

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of('\n');
  return text.substr(text.rfind('\n', end) + 1, end - text.rfind('\n', end));
}

// Returns the process IDs that ranks have printed as "pid N".
std::vector<pid_t> pids_in(const std::string& output) {
  std::vector<pid_t> pids;
  for (std::size_t place = 0; (place = output.find("pid ", place)) != std::string::npos; place += 4) {
    pids.push_back(std::stoi(output.substr(place + 4)));
  }
  return pids;
}

// Returns e.g. "S" for a process that sleeps and "T" for one that is stopped.
std::string state_of(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(stat, text);
  const std::size_t name_end = text.rfind(") ");
  return name_end == std::string::npos ? "" : text.substr(name_end + 2, 1);
}

void expect_none_left(const std::vector<pid_t>& pids) {
  ASSERT_FALSE(pids.empty());
  for (const pid_t pid : pids) EXPECT_TRUE(comes_true([&] { return has_ended(pid); })) << pid;
}

TEST(Launch, ReturnsZeroAndPrintsNothingIfAllRanksSucceed) {
  const Outcome outcome = run_program(launch_of({"argument $local_rank ${local_rank} $$", "threads"}));
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.output, "");
}

// The name of a container without a network resolves to nothing.
TEST(Launch, RanksMeetWithoutTheNameOfTheHost) {
  const Outcome outcome = run_program(launch_of({"meet on loopback", "meet on loopback"}));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
}

TEST(Launch, PrintsTheFirstCauseLastAndReturnsItsCode) {
  const Outcome outcome = run_program(launch_of({"secondary", "machine"}));
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(last_line(outcome.output),
              MatchesRegex(R"(\[distributed\] rank 1 of 2 on [^ ]+: \[test\] it went wrong)"));
  EXPECT_EQ(count_of(outcome.output, "it went wrong"), 2) << outcome.output;  // also by the rank itself
}

TEST(Launch, PrintsTheFirstLineOfALongCause) {
  const Outcome outcome = run_program(launch_of({"done", "fail in two lines"}));
  EXPECT_THAT(last_line(outcome.output), HasSubstr("[test] it went wrong"));
  EXPECT_EQ(count_of(outcome.output, "in the second line"), 1) << outcome.output;
}

TEST(Launch, PrintsAnErrorOfUsageOnce) {
  const Outcome outcome = run_program(launch_of({"usage", "usage"}));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.output, "[test] it went wrong\n");
}

TEST(Launch, SaysHowARankEndedThatCouldNotTell) {
  const Outcome crash = run_program(launch_of({"secondary", "crash"}));
  EXPECT_EQ(crash.exit_code, 1);
  EXPECT_THAT(last_line(crash.output),
              MatchesRegex(R"(\[distributed\] rank 1 of 2 on [^ ]+ was killed by signal 11 .*)"));
  const Outcome code = run_program(launch_of({"exit with 7", "done"}));
  EXPECT_EQ(code.exit_code, 1);
  EXPECT_THAT(last_line(code.output), HasSubstr("exited with code 7"));
}

TEST(Launch, StartsTheRanksAgainAsOftenAsAskedFor) {
  const Outcome once = run_program(launch_of({"done after a restart", "done"}, 1));
  EXPECT_EQ(once.exit_code, 0) << once.output;
  const Outcome never = run_program(launch_of({"done after a restart", "done"}, 0));
  EXPECT_EQ(never.exit_code, 1) << never.output;
}

TEST(Launch, PassesSignalsOnAndReturnsTheOneThatStopped) {
  Subprocess launcher(launch_of({"train", "train"}, 3));
  ASSERT_TRUE(prints(launcher, "training", 2));
  launcher.signal(SIGUSR1);
  ASSERT_TRUE(prints(launcher, "saved", 2));
  for (int i = 0; i < 2; ++i) launcher.signal(SIGTERM);  // as timeout(1) does
  const Outcome outcome = launcher.wait();
  EXPECT_EQ(outcome.exit_code, 128 + SIGTERM);
  EXPECT_EQ(count_of(outcome.output, "stopped by 15"), 2) << outcome.output;
  EXPECT_THAT(outcome.output, Not(HasSubstr("[")));
}

TEST(Launch, KeepsARequestToSaveUntilARankTakesSignals) {
  Subprocess launcher(launch_of({"train after a second", "train after a second"}));
  ASSERT_TRUE(prints(launcher, "waiting", 2));
  launcher.signal(SIGUSR1);
  EXPECT_TRUE(prints(launcher, "saved"));
  ASSERT_TRUE(prints(launcher, "training", 2));
  launcher.signal(SIGTERM);
  EXPECT_EQ(launcher.wait().exit_code, 128 + SIGTERM);
}

TEST(Launch, KeepsIgnoringASignalThatItsCallerIgnores) {
  std::vector<std::string> command = launch_of({"train", "train"});
  command.insert(command.begin(), {"env", "--ignore-signal=HUP"});
  Subprocess launcher(command);
  ASSERT_TRUE(prints(launcher, "training", 2));
  launcher.signal(SIGHUP);
  launcher.signal(SIGUSR1);
  EXPECT_TRUE(prints(launcher, "saved", 2));
  launcher.signal(SIGTERM);
  EXPECT_EQ(launcher.wait().exit_code, 128 + SIGTERM);
}

// Simulates an agreed stop: a signal to one rank stops all, and the launcher receives none.
TEST(Launch, ReturnsTheSignalThatARankWasStoppedBy) {
  Subprocess launcher(launch_of({"train", "train"}));
  ASSERT_TRUE(prints(launcher, "training", 2));
  for (const pid_t rank : pids_in(launcher.output_so_far())) kill(rank, SIGINT);
  EXPECT_EQ(launcher.wait().exit_code, 128 + SIGINT);
}

TEST(Launch, ReturnsTheSignalThatEndedARankWithoutAWord) {
  Subprocess launcher(launch_of({"end by signals", "end by signals"}));
  ASSERT_TRUE(prints(launcher, "waiting", 2));
  launcher.signal(SIGTERM);
  const Outcome outcome = launcher.wait();
  EXPECT_EQ(outcome.exit_code, 128 + SIGTERM);
  EXPECT_EQ(count_of(outcome.output, "\n"), 2) << outcome.output;
}

TEST(Launch, EndsAllAtOnceBySecondSignal) {
  Subprocess launcher(launch_of({"train", "wait"}));
  ASSERT_TRUE(prints(launcher, "pid", 2));
  launcher.signal(SIGINT);
  ASSERT_TRUE(prints(launcher, "stopped by 2"));
  usleep(300'000);
  launcher.signal(SIGTERM);
  const Outcome outcome = launcher.wait();
  EXPECT_EQ(outcome.exit_code, 128 + SIGTERM);
  expect_none_left(pids_in(outcome.output));
}

TEST(Launch, EndsAllAtOnceWhileNoRankTakesSignals) {
  Subprocess launcher(launch_of({"wait", "wait"}));
  ASSERT_TRUE(prints(launcher, "waiting", 2));
  launcher.signal(SIGUSR1);
  launcher.signal(SIGHUP);
  const Outcome outcome = launcher.wait();
  EXPECT_EQ(outcome.exit_code, 128 + SIGHUP);
  EXPECT_EQ(count_of(outcome.output, "\n"), 2) << outcome.output;
  expect_none_left(pids_in(outcome.output));
}

// Simulates Ctrl-C in a terminal: the signal goes to a shell and its whole process group.
TEST(Launch, RanksGetOneSignalWhereAProcessGroupGetsIt) {
  Subprocess shell({"setsid", "sh", "-c", std::string(TRAINYARD_LAUNCH_PROGRAM) + " 0 train train; echo code $?"});
  ASSERT_TRUE(prints(shell, "training", 2));
  kill(-shell.pid(), SIGINT);
  const Outcome outcome = shell.wait();
  EXPECT_EQ(count_of(outcome.output, "stopped by 2"), 2) << outcome.output;
}

TEST(Launch, PausesTheRanksWithTheTerminal) {
  setpgid(0, 0);  // a new group has its parent outside: SIGTSTP does not stop an orphaned process group
  Subprocess launcher(launch_of({"train", "train"}));
  ASSERT_TRUE(prints(launcher, "training", 2));
  const std::vector<pid_t> ranks = pids_in(launcher.output_so_far());
  launcher.signal(SIGTSTP);
  for (const pid_t rank : ranks) EXPECT_TRUE(comes_true([&] { return state_of(rank) == "T"; }));
  ASSERT_TRUE(comes_true([&] { return state_of(launcher.pid()) == "T"; }));  // the last to stop
  launcher.signal(SIGCONT);
  launcher.signal(SIGTERM);
  EXPECT_EQ(launcher.wait().exit_code, 128 + SIGTERM);
}

// A process that was stopped and continued returns from its wait for signals without one.
TEST(Launch, PassesTheFirstSignalOnAfterItWasStopped) {
  Subprocess launcher(launch_of({"train", "train"}));
  ASSERT_TRUE(prints(launcher, "training", 2));
  launcher.signal(SIGSTOP);
  ASSERT_TRUE(comes_true([&] { return state_of(launcher.pid()) == "T"; }));
  launcher.signal(SIGCONT);
  ASSERT_TRUE(comes_true([&] { return state_of(launcher.pid()) == "S"; }));
  launcher.signal(SIGTERM);
  ASSERT_TRUE(prints(launcher, "stopped by 15", 2));
  EXPECT_EQ(launcher.wait().exit_code, 128 + SIGTERM);
}

TEST(Launch, LeavesNoProcessWhenItIsKilled) {
  Subprocess launcher(launch_of({"train", "wait"}));
  ASSERT_TRUE(prints(launcher, "pid", 2));
  std::vector<pid_t> processes = pids_in(launcher.output_so_far());
  processes.push_back(children_of(launcher.pid()).at(0));
  launcher.signal(SIGKILL);
  launcher.wait();
  expect_none_left(processes);
}

TEST(Launch, LeavesNoProcessWhenItIsKilledBeforeTheRanksStart) {
  Subprocess launcher(launch_of({"wait", "wait"}));
  ASSERT_TRUE(comes_true([&] { return !children_of(launcher.pid()).empty(); }));
  const pid_t torchrun = children_of(launcher.pid()).at(0);
  launcher.signal(SIGKILL);
  launcher.wait();
  expect_none_left({torchrun});
}

TEST(Launch, SaysThatTorchrunWasKilledAndLeavesNoRank) {
  Subprocess launcher(launch_of({"train", "wait"}));
  ASSERT_TRUE(prints(launcher, "pid", 2));
  kill(children_of(launcher.pid()).at(0), SIGKILL);
  const Outcome outcome = launcher.wait();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(last_line(outcome.output), HasSubstr("[distributed] torchrun was killed by signal 9"));
  for (const pid_t rank : pids_in(outcome.output)) EXPECT_TRUE(has_ended(rank));
}

TEST(Launch, SaysWhichRankWasKilled) {
  Subprocess launcher(launch_of({"train", "train"}));
  ASSERT_TRUE(prints(launcher, "training", 2));
  kill(pids_in(launcher.output_so_far())[0], SIGKILL);
  const Outcome outcome = launcher.wait();
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(last_line(outcome.output),
              MatchesRegex(R"(\[distributed\] rank [01] of 2 on [^ ]+ was killed by signal 9 .*)"));
}

TEST(Launch, ReportsAPythonWithoutTorchrunAndSuggestsOneDevice) {
  const TempDir folder;
  const std::string broken = folder.path() + "/python";
  std::ofstream(broken) << "#!/bin/sh\nexec python3 -S -I \"$@\"\n";  // without site packages, so without torch
  std::filesystem::permissions(broken, std::filesystem::perms::owner_all);
  for (const std::string& python : {std::string("/nowhere/python"), broken}) {
    const Outcome outcome = run_program(launch_of({"done", "done"}), {"TORCH_PYTHON=" + python});
    EXPECT_EQ(outcome.exit_code, 3);
    EXPECT_THAT(outcome.output, AllOf(HasSubstr(python), HasSubstr("--train.device cuda:0"))) << outcome.output;
    EXPECT_EQ(count_of(outcome.output, "\n"), 1) << outcome.output;
  }
}

TEST(Launch, WorkingFolderCannotPassForPythonsModules) {
  const TempDir folder;
  std::ofstream(folder.path() + "/json.py") << "raise SystemExit('the wrong json')\n";
  const Outcome outcome = run_program({"env", "-C", folder.path(), TRAINYARD_LAUNCH_PROGRAM, "0", "done", "done"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
}

// A rank started by the user's torchrun also ends with it, and exits with 128 + n.
TEST(RanksOfAUsersTorchrun, EndWithItAndReturnTheSignal) {
  const std::vector<std::string> command = {TRAINYARD_PYTHON,
                                            "-m",
                                            "torch.distributed.run",
                                            "--standalone",
                                            "--nproc-per-node",
                                            "2",
                                            "--log-dir",
                                            "/dev/null",
                                            "--no-python",
                                            TRAINYARD_LAUNCH_PROGRAM,
                                            "0"};
  std::vector<std::string> killed = command;
  killed.insert(killed.end(), {"train", "wait"});
  Subprocess torchrun(killed);
  ASSERT_TRUE(prints(torchrun, "pid", 2));
  torchrun.signal(SIGKILL);
  expect_none_left(pids_in(torchrun.wait().output));

  std::vector<std::string> stopped = command;
  stopped.insert(stopped.end(), {"train", "train"});
  Subprocess second(stopped);
  ASSERT_TRUE(prints(second, "training", 2));
  kill(pids_in(second.output_so_far())[0], SIGTERM);
  EXPECT_THAT(second.wait().output, HasSubstr("exitcode  : 143"));
}

// GPUs reported by a stand-in for libcuda; no rank can compute on them.
class TrainOnStandIns : public testing::Test {
 protected:
  Outcome train(const std::string& gpus, const std::vector<std::string>& settings,
                const std::vector<std::string>& environment = {}) {
    std::vector<std::string> command = {TRAINYARD_BINARY, "train", "--train.fast_dev_run", "--run.dir", runs_.path()};
    command.insert(command.end(), settings.begin(), settings.end());
    std::vector<std::string> all = {std::string("LD_LIBRARY_PATH=") + TRAINYARD_STAND_IN_CUDA, "STAND_IN_GPUS=" + gpus};
    all.insert(all.end(), environment.begin(), environment.end());
    return run_program(command, all);
  }

  Outcome train_on(const std::string& device, const std::string& gpus) {
    return train(gpus, {"--data.name", "synthetic", "--train.device", device});
  }

  TempDir runs_;
};

TEST_F(TrainOnStandIns, ARankForEachOfAKindAndOneCause) {
  const Outcome outcome = train_on("auto", "Card A,Card A,Card B");
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.output, HasSubstr("gpus    2 processes, one each on cuda:0 Card A, cuda:1 Card A\n"));
  EXPECT_THAT(outcome.output, HasSubstr("left out, being of another kind: cuda:2 Card B"));
  EXPECT_THAT(last_line(outcome.output),
              MatchesRegex(R"(\[distributed\] rank ([01]) of 2 on [^ ]+: \[check\] train.device = cuda:[01]: .*)"));
}

TEST_F(TrainOnStandIns, AGpuThatCannotBeOpenedIsLeftOutAndNamed) {
  const std::string error = "CUDA_ERROR_DEVICE_UNAVAILABLE";
  const Outcome several = train_on("auto", "lost,Card A,Card A");
  EXPECT_THAT(several.output, AllOf(HasSubstr("gpus    2 processes, one each on cuda:1 Card A, cuda:2 Card A\n"),
                                    HasSubstr("cuda:0 is left out: CUDA does not open it: " + error)));
  const std::string said = "CUDA counts cuda:1, but does not open it: " + error;
  EXPECT_THAT(train_on("auto", "Card A,lost").output, AllOf(HasSubstr(said), Not(HasSubstr("gpus "))));
}

TEST_F(TrainOnStandIns, AListedGpuThatCannotBeOpenedIsAnErrorBeforeAnyRankStarts) {
  const Outcome outcome = train_on("cuda:0,1", "Card A,lost");
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.output,
              StartsWith("[train.device] lists cuda:1, which CUDA does not open: CUDA_ERROR_DEVICE_UNAVAILABLE"));
  EXPECT_EQ(count_of(outcome.output, "\n"), 1) << outcome.output;
}

// If it hangs instead, the user waits once for the time limit.
TEST_F(TrainOnStandIns, ADriverThatCrashesIsAskedOnce) {
  const TempDir dir;
  const Outcome outcome =
      train("Card A,Card A", {"--data.name", "synthetic"}, {"STAND_IN_CRASHES=1", "STAND_IN_LOG=" + (dir / "log")});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_EQ(count_of(outcome.output, "CUDA's driver crashed"), 1) << outcome.output;
  EXPECT_EQ(count_of(read_text_file(dir / "log", "test"), "\n"), 1);
}

TEST_F(TrainOnStandIns, OnTheCpuTheDriverIsLeftAlone) {
  const TempDir dir;
  const std::string log = dir.write("log", "");
  Subprocess process({TRAINYARD_BINARY, "train", "--train.fast_dev_run", "--run.dir", runs_.path(), "--data.name",
                      "synthetic", "--train.device", "cpu"},
                     {std::string("LD_LIBRARY_PATH=") + TRAINYARD_STAND_IN_CUDA, "STAND_IN_LOG=" + log});
  const pid_t own = process.pid();
  const Outcome outcome = process.wait();
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_EQ(count_of(read_text_file(log, "test"), fmt::format("{} ", own)), 0) << "it may hang";
}

TEST_F(TrainOnStandIns, ARankForEachOfAList) {
  const Outcome outcome = train_on("cuda:0,2", "Card A,Card A,Card B");
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.output, HasSubstr("gpus    2 processes, one each on cuda:0 Card A, cuda:2 Card B\n"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("cuda:1")));
}

TEST_F(TrainOnStandIns, AnErrorOfUsageThatAllRanksFindIsPrintedOnce) {
  const Outcome outcome = train("Card A,Card A", {"--data.name", "image_folder", "--data.root", "/nowhere"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(count_of(outcome.output, "there is no folder /nowhere"), 1) << outcome.output;
}

TEST_F(TrainOnStandIns, NothingIsLaunchedForOneGpuAndForAnIndexThatIsNotThere) {
  EXPECT_THAT(train_on("auto", "Card A").output, Not(HasSubstr("gpus ")));
  EXPECT_THAT(train_on("cuda:1", "Card A,Card A").output, Not(HasSubstr("gpus ")));
  const Outcome beyond = train_on("cuda:0,5", "Card A,Card A");
  EXPECT_EQ(beyond.exit_code, 3);
  EXPECT_THAT(beyond.output, AllOf(HasSubstr("there is no cuda:5, there are 2 GPUs"), Not(HasSubstr("gpus "))));
  EXPECT_EQ(train_on("cpu", "Card A,Card A").exit_code, 0);
}

}  // namespace
}  // namespace trainyard
