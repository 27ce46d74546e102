#include <gmock/gmock.h>

#include "commands/small_run.h"
#include "util/system.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

using ReportCommand = SmallRun;

TEST_F(ReportCommand, WritesOnePageWithCurvesAndPredictions) {
  const TempDir dir;
  const Outcome outcome = run_program({TRAINYARD_BINARY, "report", run(), "-o", dir / "page.html"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("report  " + dir / "page.html"));
  const std::string page = read_text_file(dir / "page.html", "test");
  EXPECT_THAT(page, AllOf(HasSubstr("\"val/accuracy\":"), HasSubstr("\"samples\":128"), HasSubstr("class 4"),
                          HasSubstr("\"ready\":"), HasSubstr("samples = 640")));
}

TEST_F(ReportCommand, TrainingEndsWithAPageInTheRunsFolder) {
  EXPECT_THAT(read_text_file(run() + "/report.html", "test"), HasSubstr("\"test/accuracy\":"));
}

TEST_F(ReportCommand, ShowsSeveralRunsAndOneWithoutACheckpoint) {
  const TempDir dir;
  dir.write("young/config.toml", "[model]\nname = \"convnet\"\n");
  const Outcome outcome = run_program({TRAINYARD_BINARY, "report", run(), dir / "young", "-o", dir / "page.html"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("has no checkpoint yet"));
  EXPECT_THAT(read_text_file(dir / "page.html", "test"),
              AllOf(HasSubstr("\"name\":\"a\""), HasSubstr("\"name\":\"young\"")));
}

TEST_F(ReportCommand, NamesDamageOfTheMetricsHereAndOnThePage) {
  const TempDir dir;
  dir.write("hurt/config.toml", "[model]\nname = \"convnet\"\n");
  dir.write("hurt/metrics.csv", "garbage\n1,2\n");
  const Outcome outcome = run_program({TRAINYARD_BINARY, "report", dir / "hurt"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("hurt/metrics.csv:1: the first line is not the header"));
  EXPECT_THAT(read_text_file(dir / "hurt/report.html", "test"), HasSubstr("hurt/metrics.csv:1: the first line"));
}

TEST_F(ReportCommand, SaysIfTheBestCheckpointIsGone) {
  const TempDir dir;
  const auto options = std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks;
  std::filesystem::copy(run(), dir / "copied", options);
  const std::string best = dir / "copied/checkpoints/best";
  std::filesystem::remove(best);
  std::filesystem::create_symlink("step-00000001", best);
  const Outcome outcome = run_program({TRAINYARD_BINARY, "report", dir / "copied"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("best leads to no checkpoint; step-"), HasSubstr(" is shown instead")));
}

TEST_F(ReportCommand, RefusesARunThatIsGivenTwice) {
  const Outcome outcome = run_program({TRAINYARD_BINARY, "report", run(), run() + "/.", "-o", *dir_ / "twice.html"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("/. is given twice; give each run once"));
}

TEST_F(ReportCommand, RefusesAPlaceWhereNothingCanBeWrittenBeforeAnythingIsComputed) {
  const Outcome outcome = run_program({TRAINYARD_BINARY, "report", run(), "-o", *dir_ / "no/page.html"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, StartsWith("[report] cannot write "));
}

TEST_F(ReportCommand, RefusesAFolderThatIsNoRun) {
  const TempDir dir;
  const Outcome outcome = run_program({TRAINYARD_BINARY, "report", dir.path()});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("is not a run's folder"));
  EXPECT_FALSE(std::filesystem::exists(dir / "report.html"));
}

}  // namespace
}  // namespace trainyard
