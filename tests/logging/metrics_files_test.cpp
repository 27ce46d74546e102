#include "logging/metrics_files.h"

#include <algorithm>
#include <filesystem>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "support/temp_dir.h"
#include "util/system.h"

namespace trainyard {
namespace {

using testing::HasSubstr;
using testing::Not;

EpochMetrics epoch(std::int64_t number) {
  return {.epoch = number,
          .step = number * 10,
          .train = {{"loss", 0.1 + 0.2}, {"accuracy", 1.0 / 3}},
          .val = {{"loss", 1e-20}, {"accuracy", 1}, {"top5", 1}},
          .lr = 0.05,
          .samples_per_second = 1234.5,
          .data_wait = 0};
}

StepMetrics step(std::int64_t number) {
  return {.epoch = 1,
          .step = number,
          .train = {{"loss", 0.1}, {"accuracy", 0.5}},
          .lr = 0.1,
          .samples_per_second = 10,
          .data_wait = 0};
}

LoadingMetrics loading(std::int64_t number) {
  return {.epoch = number,
          .step = number * 10,
          .stats = {.seconds = 2,
                    .waited_seconds = 1,
                    .wait_p50 = 0.001,
                    .wait_p99 = 0.25,
                    .batches = 10,
                    .samples = 100,
                    .bytes = 4096,
                    .busy_share = 0.75,
                    .faults = {.deaths = 1, .hangs = 2, .retries = 3, .skipped = 4}}};
}

const MetricNames names{.train = {"loss", "accuracy"}, .val = {"loss", "accuracy", "top5"}};

std::string text(const std::string& path) { return read_text_file(path, "test"); }

TEST(MetricsFiles, WritesAHeaderAndFloatsThatReadBackExactly) {
  const TempDir dir;
  MetricsFiles(dir.path(), 0, names).add(epoch(1));
  EXPECT_EQ(text(dir / "metrics.csv"),
            "epoch,step,train/loss,train/accuracy,val/loss,val/accuracy,val/top5,lr,samples_per_second,data_wait\n"
            "1,10,0.30000000000000004,0.3333333333333333,1e-20,1,1,0.05,1234.5,0\n");
}

TEST(MetricsFiles, WritesNothingForAMetricWithoutAValue) {
  const TempDir dir;
  EpochMetrics first = epoch(1);
  first.val[1].second = std::nullopt;
  StepMetrics line = step(5);
  line.train[1].second = std::nullopt;
  MetricsFiles files(dir.path(), 0, names);
  files.add(first);
  files.add(line);
  EXPECT_THAT(text(dir / "metrics.csv"), HasSubstr(",1e-20,,1,0.05,"));
  EXPECT_TRUE(nlohmann::json::parse(text(dir / "metrics.jsonl")).at("train/accuracy").is_null());
}

TEST(MetricsFiles, WritesHowTheSamplesCame) {
  const TempDir dir;
  MetricsFiles(dir.path(), 0, names).add(loading(1));
  EXPECT_EQ(
      text(dir / "loading.csv"),
      "epoch,step,samples_per_second,wait_share,wait_p50,wait_p99,workers_busy,bytes,deaths,hangs,retries,skipped\n"
      "1,10,50,0.5,0.001,0.25,0.75,4096,1,2,3,4\n");
}

TEST(MetricsFiles, WritesNothingForTheSpeedOfAnEpochNotTrainedHere) {
  const TempDir dir;
  EpochMetrics evaluated = epoch(1);
  evaluated.samples_per_second = evaluated.data_wait = std::nullopt;
  MetricsFiles files(dir.path(), 0, names);
  files.add(evaluated);
  files.add(LoadingMetrics{.epoch = 1, .step = 10, .stats = {.seconds = 2}});
  files.add(RankMetrics{.epoch = 1, .step = 10, .data_wait = {}});
  EXPECT_THAT(text(dir / "metrics.csv"), testing::EndsWith(",1,0.05,,\n"));
  EXPECT_THAT(text(dir / "loading.csv"), testing::EndsWith("\n1,10,,,,,,0,0,0,0,0\n"));
  EXPECT_FALSE(std::filesystem::exists(dir / "ranks.csv"));
}

TEST(MetricsFiles, WritesTheWaitOfEachOfSeveralRanks) {
  const TempDir dir;
  MetricsFiles(dir.path(), 0, names).add(RankMetrics{.epoch = 1, .step = 10, .data_wait = {0.5}});
  EXPECT_FALSE(std::filesystem::exists(dir / "ranks.csv"));
  {
    MetricsFiles files(dir.path(), 0, names);
    for (const std::int64_t i : {1, 2}) files.add(RankMetrics{.epoch = i, .step = i * 10, .data_wait = {0.5, 0.25}});
  }
  MetricsFiles(dir.path(), 10, names).add(RankMetrics{.epoch = 2, .step = 20, .data_wait = {0, 1}});
  EXPECT_EQ(text(dir / "ranks.csv"), "epoch,step,rank,data_wait\n1,10,0,0.5\n1,10,1,0.25\n2,20,0,0\n2,20,1,1\n");
}

TEST(MetricsFiles, WritesOneJsonObjectALine) {
  const TempDir dir;
  MetricsFiles(dir.path(), 0, names).add(step(5));
  const auto object = nlohmann::json::parse(text(dir / "metrics.jsonl"));
  EXPECT_EQ(object["step"], 5);
  EXPECT_EQ(object["train/loss"], 0.1);
}

TEST(MetricsFiles, ResumingDropsWhatIsAboutToBeDoneAgain) {
  const TempDir dir;
  {
    MetricsFiles files(dir.path(), 0, names);
    for (const int i : {1, 2, 3}) files.add(epoch(i));
    for (const int i : {1, 2, 3}) files.add(loading(i));
    for (const int i : {5, 20, 25}) files.add(step(i));
  }
  MetricsFiles files(dir.path(), 20, names);
  EXPECT_THAT(text(dir / "metrics.csv"), testing::AllOf(HasSubstr("\n2,20,"), Not(HasSubstr("\n3,30,"))));
  EXPECT_THAT(text(dir / "loading.csv"), testing::AllOf(HasSubstr("\n2,20,"), Not(HasSubstr("\n3,30,"))));
  EXPECT_THAT(text(dir / "metrics.jsonl"), testing::AllOf(HasSubstr("\"step\":20,"), Not(HasSubstr("\"step\":25,"))));
}

TEST(MetricsFiles, ResumingDropsALineTornByACrash) {
  const TempDir dir;
  MetricsFiles(dir.path(), 0, names).add(step(5));
  dir.write("metrics.jsonl", text(dir / "metrics.jsonl") + "{\"epoch\":1,\"step\":6,\"lo");
  MetricsFiles(dir.path(), 100, names).add(step(6));
  const std::string lines = text(dir / "metrics.jsonl");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
  EXPECT_THAT(lines, Not(HasSubstr("\"lo{")));
}

TEST(MetricsFiles, ResumingMovesRowsToTheColumnsOfItsMetrics) {
  const TempDir dir;
  MetricsFiles(dir.path(), 0, names).add(epoch(1));
  EpochMetrics second = epoch(2);
  second.val = {{"loss", 0.5}, {"auc", 0.75}};
  MetricsFiles(dir.path(), 10, {.train = {"loss", "accuracy"}, .val = {"loss", "auc"}}).add(second);
  EXPECT_EQ(text(dir / "metrics.csv"),
            "epoch,step,train/loss,train/accuracy,val/loss,val/auc,lr,samples_per_second,data_wait,val/accuracy,"
            "val/top5\n"
            "1,10,0.30000000000000004,0.3333333333333333,1e-20,,0.05,1234.5,0,1,1\n"
            "2,20,0.30000000000000004,0.3333333333333333,0.5,0.75,0.05,1234.5,0,,\n");
}

TEST(MetricsFiles, ResumingKeepsAFileWithLinesThatItCannotRead) {
  const TempDir dir;
  {
    MetricsFiles files(dir.path(), 0, names);
    files.add(epoch(1));
    files.add(step(5));
  }
  const std::string rows = text(dir / "metrics.csv") + "2;20;0,3\n";
  dir.write("metrics.csv", rows);
  dir.write("metrics.jsonl", "[]\n" + text(dir / "metrics.jsonl"));
  testing::internal::CaptureStdout();
  {
    const MetricsFiles files(dir.path(), 100, names);
  }
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              testing::AllOf(HasSubstr("metrics.csv:3: the line cannot be read; it is left out"),
                             HasSubstr("metrics.jsonl:1: the line"), HasSubstr("is kept as " + dir / "metrics.csv")));
  EXPECT_EQ(text(dir / "metrics.csv.damaged"), rows);
  EXPECT_THAT(text(dir / "metrics.csv"), testing::AllOf(HasSubstr("\n1,10,"), Not(HasSubstr("2;20"))));
  EXPECT_THAT(text(dir / "metrics.jsonl"), testing::StartsWith("{\"epoch\":1,\"step\":5,"));
}

TEST(MetricsFiles, AFreshRunBeginsNewFiles) {
  const TempDir dir;
  MetricsFiles(dir.path(), 0, names).add(epoch(1));
  const MetricsFiles again(dir.path(), 0, names);
  EXPECT_THAT(text(dir / "metrics.csv"), Not(HasSubstr("\n1,10")));
}

}  // namespace
}  // namespace trainyard
