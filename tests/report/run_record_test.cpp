#include "report/run_record.h"

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(ReadRun, ReadsWhatIsThereAndPassesOverWhatIsTorn) {
  const TempDir dir;
  dir.write("config.toml", "[model]\n");
  dir.write("metrics.csv", "epoch,step,val/loss\n1,10,0.5\n2,20,nan\n3,3");
  dir.write("metrics.jsonl", "{\"step\":1,\"loss\":0.25}\n{\"step\":2,\"lo");
  dir.write("ranks.csv", "epoch,step,rank,data_wait\n1,10,0,0.5\n1,10,1,0.25\n2,2");
  dir.write("check.json", "{\"ready\": tru");
  const RunRecord run = read_run(dir.path());
  EXPECT_EQ(run.name, std::filesystem::path(dir.path()).filename());
  ASSERT_EQ(run.epochs.size(), 2u);
  EXPECT_EQ(run.epochs[0]["val/loss"], 0.5);
  EXPECT_TRUE(run.epochs[1]["val/loss"].is_null());
  ASSERT_EQ(run.steps.size(), 1u);
  EXPECT_EQ(run.steps[0]["loss"], 0.25);
  ASSERT_EQ(run.ranks.size(), 2u);
  EXPECT_EQ(run.ranks[1]["data_wait"], 0.25);
  EXPECT_TRUE(run.check.is_null());
  EXPECT_THAT(run.warnings, testing::IsEmpty()) << "a run in progress may be writing its last line";
}

TEST(ReadRun, NamesTheFileAndLineOfDamage) {
  const TempDir dir;
  dir.write("config.toml", "[model]\n");
  dir.write("metrics.csv", "epoch,step,val/loss,lr\n1,10,abc,0.1\n2,20,,nan\n3\n4,40,0.5,0.1\n");
  dir.write("metrics.jsonl", "{\"step\":1}\n\x01garbage\n{\"step\":3}\n");
  dir.write("ranks.csv", "garbage\n1,10,0,0.5\n");
  const RunRecord run = read_run(dir.path());
  EXPECT_EQ(run.epochs.size(), 3u);
  EXPECT_EQ(run.steps.size(), 2u);
  EXPECT_EQ(run.ranks.size(), 0u);
  ASSERT_EQ(run.warnings.size(), 3u);
  EXPECT_THAT(run.warnings[0],
              AllOf(HasSubstr("metrics.csv:2: val/loss is 'abc', which is not a number"), HasSubstr("1 more")));
  EXPECT_THAT(run.warnings[1], HasSubstr("metrics.jsonl:2: the line is no JSON object; what cannot be read"));
  EXPECT_THAT(run.warnings[2], HasSubstr("ranks.csv:1: the first line is not the header"));
}

TEST(ReadRun, MissesTheMetricsOfARunWithCheckpoints) {
  const TempDir dir;
  dir.write("checkpoints/step-00000001/manifest.json", "");
  const RunRecord run = read_run(dir.path());
  ASSERT_EQ(run.warnings.size(), 2u);
  EXPECT_THAT(run.warnings[0], HasSubstr("metrics.csv is missing"));
  EXPECT_THAT(run.warnings[1], HasSubstr("metrics.jsonl is missing"));
}

TEST(ReadRun, LeavesOutTheFolderThatTheRunWasStartedIn) {
  const TempDir dir;
  dir.write("config.toml", "[run]\nname = \"a\"\nstarted_in = \"/home/somebody\"\n");
  EXPECT_EQ(read_run(dir.path()).config, "[run]\nname = \"a\"\n");
}

TEST(ReadRun, RefusesAFolderThatIsNoRuns) {
  const TempDir dir;
  const auto refusal = [](const std::string& path) { return error_of<UsageError>([&] { read_run(path); }); };
  EXPECT_THAT(refusal(dir.path()),
              testing::EndsWith("is not a run's folder: it has neither a config.toml nor checkpoints"));
  EXPECT_THAT(refusal(dir.write("report.html", "x")), HasSubstr("report.html is a file, not a run's folder"));
  dir.write("b/config.toml", "");
  dir.write("a/config.toml", "");
  EXPECT_THAT(refusal(dir.path()), testing::EndsWith("; runs there: " + dir / "a" + ", " + dir / "b"));
}

}  // namespace
}  // namespace trainyard
