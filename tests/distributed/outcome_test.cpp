#include "distributed/outcome.h"

#include <csignal>
#include <cstdlib>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace trainyard {
namespace {

// This process is a rank and its own launcher.
class RankOfALauncher : public testing::Test {
 protected:
  RankOfALauncher() {
    set_parent(getppid());
    for (const auto& [name, value] : variables) setenv(name, value, 1);
  }
  ~RankOfALauncher() override {
    unsetenv(launcher_variable);
    for (const auto& [name, value] : variables) unsetenv(name);
  }

  void set_parent(pid_t torchrun) const {
    setenv(launcher_variable, fmt::format("{} {}", torchrun, channel.path()).c_str(), 1);
  }

  OutcomeChannel channel;

 private:
  static constexpr std::pair<const char*, const char*> variables[] = {{"RANK", "3"},
                                                                      {"WORLD_SIZE", "4"},
                                                                      {"LOCAL_RANK", "3"},
                                                                      {"LOCAL_WORLD_SIZE", "4"},
                                                                      {"MASTER_ADDR", "localhost"},
                                                                      {"MASTER_PORT", "1"},
                                                                      {"TORCHELASTIC_RESTART_COUNT", "2"}};
};

TEST_F(RankOfALauncher, TellsHowItFails) {
  EXPECT_TRUE(report_failure(ExitCode::machine_not_fit, "[a] line\nand \xff another", /*secondary=*/true));
  const Outcomes outcomes = channel.read();
  ASSERT_EQ(outcomes.reports.size(), 1U);
  const RankReport& report = outcomes.reports[0];
  EXPECT_EQ(report.kind, RankReport::Kind::failed);
  EXPECT_EQ(report.rank, 3);
  EXPECT_EQ(report.pid, getpid());
  EXPECT_EQ(report.restarts, 2);
  EXPECT_EQ(report.code, 3);
  EXPECT_TRUE(report.secondary);
  EXPECT_EQ(report.message, "[a] line\nand \xef\xbf\xbd another");
}

TEST_F(RankOfALauncher, TellsThatItStoppedAndExitsWithZero) {
  EXPECT_EQ(report_stop(SIGTERM), 0);
  EXPECT_EQ(channel.read().reports.at(0).code, 128 + SIGTERM);
}

TEST_F(RankOfALauncher, ReportsWhenItStartsAndStopsHandlingSignals) {
  {
    const TakesSignals takes_signals;
  }
  const std::vector<RankReport> reports = channel.read().reports;
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].kind, RankReport::Kind::takes_signals);
  EXPECT_EQ(reports[1].kind, RankReport::Kind::ends_by_signals);
}

TEST_F(RankOfALauncher, ProcessesThatARankStartsTellNothing) {
  set_parent(getpid());  // as in a probe of the check, whose parent is the rank
  EXPECT_FALSE(report_failure(ExitCode::usage, "[a] b"));
  EXPECT_EQ(report_stop(SIGINT), 128 + SIGINT);
  EXPECT_TRUE(channel.read().reports.empty());
}

TEST_F(RankOfALauncher, OldReportsAreNotThoseOfTheLastStart) {
  report_failure(ExitCode::run_failed, "[a] old");
  setenv("TORCHELASTIC_RESTART_COUNT", "3", 1);
  report_failure(ExitCode::run_failed, "[a] new");
  const std::vector<RankReport> reports = reports_of_last_start(channel.read());
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].message, "[a] new");
}

TEST(Report, DoesNothingWithoutALauncher) {
  EXPECT_FALSE(report_failure(ExitCode::run_failed, "[a] b"));
  EXPECT_EQ(report_stop(SIGHUP), 128 + SIGHUP);
}

TEST(OutcomeChannel, HasWhatTorchrunTells) {
  const OutcomeChannel channel;
  channel.tell_missing("not there");
  std::ofstream(channel.path(), std::ios::app) << R"({"failures": [[1, -9], [0, 1]]})" << "\n"
                                               << R"({"error": "no port"})" << "\n";
  const Outcomes outcomes = channel.read();
  EXPECT_EQ(outcomes.torchrun_missing, "not there");
  EXPECT_EQ(outcomes.torchrun_error, "no port");
  ASSERT_EQ(outcomes.failures.size(), 2U);
  EXPECT_EQ(outcomes.failures[0].rank, 1);
  EXPECT_EQ(outcomes.failures[0].exit_code, -9);
}

TEST(OutcomeChannel, LeavesOutOtherLines) {
  const OutcomeChannel channel;
  for (const char* line : {"", "no JSON", "7", "[]", "{}", R"({"kind": 3})", R"({"kind": "x", "rank": 0})",
                           R"({"failures": 1})", R"({"failures": [[1]]})", R"({"missing": 1})"}) {
    std::ofstream(channel.path(), std::ios::app) << line << "\n";
  }
  const Outcomes outcomes = channel.read();
  EXPECT_TRUE(outcomes.reports.empty());
  EXPECT_TRUE(outcomes.failures.empty());
  EXPECT_EQ(outcomes.torchrun_missing, "");
}

TEST(EndWithLauncher, ThatHasEndedIsAtOnce) {
  EXPECT_EXIT(
      {
        setenv(launcher_variable, "1 /proc/1/fd/3", 1);  // the parent is another process
        end_with_launcher();
      },
      testing::KilledBySignal(SIGKILL), "");
}

}  // namespace
}  // namespace trainyard
