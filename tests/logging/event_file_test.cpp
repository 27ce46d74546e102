#include "logging/event_file.h"

#include <filesystem>

#include <gmock/gmock.h>

#include "logging/metrics_files.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"

namespace trainyard {
namespace {

using testing::HasSubstr;
using testing::Not;

std::uint32_t crc32c_of(std::string_view text) { return crc32c(std::as_bytes(std::span(text))); }

std::string event_files(const TempDir& dir) {
  std::string all;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    if (entry.path().filename().string().starts_with("events.out.tfevents.")) {
      all += read_text_file(entry.path().string(), "test");
    }
  }
  return all;
}

void tear_last_record(const TempDir& dir) {
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    std::filesystem::resize_file(entry.path(), std::filesystem::file_size(entry.path()) - 3);
  }
}

TEST(Crc32c, GivesTheStandardsValues) {  // RFC 3720, appendix B.4
  EXPECT_EQ(crc32c_of("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c_of(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c_of(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c_of(""), 0u);
}

TEST(EventFile, BeginsWithTheVersionThatTensorFlowWrites) {
  const TempDir dir;
  const EventFile file(dir.path(), 0);
  const std::string bytes = event_files(dir);
  EXPECT_EQ(bytes.substr(0, 8), std::string_view("\x1a\0\0\0\0\0\0\0", 8));  // 9 wall_time, 2 step, 15 file_version
  EXPECT_EQ(bytes.substr(12 + 9, 17), std::string_view("\x10\0\x1a\x0d"
                                                       "brain.Event:2",
                                                       17));
}

TEST(EventFile, ResumingCutsOffWhatIsAboutToBeDoneAgain) {
  const TempDir dir;
  {
    EventFile file(dir.path(), 0);
    file.add(10, {{"ten", 1}});
    file.add(300, {{"three hundred", 1}});
    file.add(301, {{"one more", 1}});
  }
  EventFile(dir.path(), 300);
  EXPECT_THAT(event_files(dir), testing::AllOf(HasSubstr("ten"), HasSubstr("three hundred"), Not(HasSubstr("more"))));
}

TEST(EventFile, ResumingCutsOffATornRecord) {
  const TempDir dir;
  {
    EventFile file(dir.path(), 0);
    file.add(10, {{"whole", 1}});
    file.add(11, {{"torn", 1}});
  }
  tear_last_record(dir);
  EventFile(dir.path(), 100);
  EXPECT_THAT(event_files(dir), testing::AllOf(HasSubstr("whole"), Not(HasSubstr("torn"))));
}

TEST(EventFile, ResumingComesAfterEarlierFilesWhateverTheClockSays) {
  const TempDir dir;
  {
    EventFile(dir.path(), 0).add(10, {{"ten", 1}});
  }
  const std::string later = dir / "events.out.tfevents.4000000000.trainyard";
  std::filesystem::rename(std::filesystem::directory_iterator(dir.path())->path(), later);
  const EventFile resumed(dir.path(), 10);
  EXPECT_TRUE(std::filesystem::exists(dir / "events.out.tfevents.4000000001.trainyard"));
}

TEST(EventFile, AFreshRunRemovesOldFilesAndNoneButItsOwn) {
  const TempDir dir;
  {
    EventFile(dir.path(), 0).add(10, {{"old", 1}});
  }
  dir.write("events.out.tfevents.1.somebody-else", "kept");
  EventFile(dir.path(), 0);
  EXPECT_THAT(event_files(dir), testing::AllOf(HasSubstr("kept"), Not(HasSubstr("old"))));
}

// TensorBoard is part of build/bin/parity-python, which `make test` installs.
TEST(EventFile, TensorBoardReadsEveryScalarOnceAfterAResume) {
  const std::string python = TRAINYARD_SOURCE_DIR "/build/bin/parity-python";
  if (!std::filesystem::exists(python)) {
    GTEST_SKIP() << python << " is missing: `scripts/bootstrap parity` installs it, with TensorBoard";
  }
  const TempDir dir;
  const MetricNames names{.train = {"loss", "accuracy"}, .val = {"loss", "accuracy"}};
  const auto log = [](MetricsFiles& files, std::int64_t step) {
    files.add(StepMetrics{.epoch = 1,
                          .step = step,
                          .train = {{"loss", static_cast<double>(step) / 4}, {"accuracy", 0.5}},
                          .lr = 0.125,
                          .samples_per_second = 1000,
                          .data_wait = 0});
  };
  {
    MetricsFiles files(dir.path(), 0, names);
    for (const int step : {100, 200, 300}) log(files, step);
  }
  tear_last_record(dir);
  {
    MetricsFiles files(dir.path(), 150, names);  // resumes at step 150, so 200 is repeated
    for (const int step : {200, 300}) log(files, step);
    files.add(EpochMetrics{.epoch = 1,
                           .step = 300,
                           .train = {{"loss", 2}, {"accuracy", 0.25}},
                           .val = {{"loss", 1.5}, {"accuracy", 0.75}},
                           .lr = 0.125,
                           .samples_per_second = 1000,
                           .data_wait = 0});
  }
  const Outcome read = run_program({python, TRAINYARD_SOURCE_DIR "/tests/logging/read_events.py", dir.path()});
  ASSERT_EQ(read.exit_code, 0) << read.output;
  // Sorted by tag; only step 300 has values of an epoch.
  std::string expected;
  for (const auto& [tag, values] : std::initializer_list<std::pair<std::string, std::vector<std::string>>>{
           {"speed/data_wait", {"0", "0", "0"}},
           {"speed/samples_per_second", {"1000", "1000", "1000"}},
           {"train/accuracy", {"0.5", "0.5", "0.5"}},
           {"train/accuracy_epoch", {"0.25"}},
           {"train/loss", {"25", "50", "75"}},
           {"train/loss_epoch", {"2"}},
           {"train/lr", {"0.125", "0.125", "0.125"}},
           {"val/accuracy", {"0.75"}},
           {"val/loss", {"1.5"}}}) {
    const std::size_t first = values.size() == 1 ? 3 : 1;
    for (std::size_t i = 0; i < values.size(); ++i) expected += fmt::format("{} {}00 {}\n", tag, first + i, values[i]);
  }
  EXPECT_THAT(read.output, testing::EndsWith(expected));  // Python may print warnings first
}

}  // namespace
}  // namespace trainyard
