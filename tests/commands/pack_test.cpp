// What `trainyard pack` leaves behind if it is stopped or refuses.

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "support/subprocess.h"
#include "support/temp_dir.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class PackCommand : public testing::Test {
 protected:
  // Makes a million images: it does not end within the test.
  std::vector<std::string> endless() const {
    return {
        TRAINYARD_BINARY,   "pack", dir_ / "packed", "--data.name", "synthetic", "--data.synthetic.samples", "1000000",
        "--loader.workers", "2"};
  }

  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(dir_ / "packed")) found.push_back(entry.path().filename().string());
    return found;
  }

  void wait_until_it_writes(const Subprocess& pack) const {
    const std::string name = fmt::format("packed/.tmp-train.packed-{}", pack.pid());
    while (pack.is_running() && !fs::exists(dir_ / name)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }

  TempDir dir_;
};

TEST_F(PackCommand, LeavesNothingWhenASignalStopsIt) {
  for (const int signal : {SIGINT, SIGTERM}) {
    Subprocess pack(endless());
    wait_until_it_writes(pack);
    pack.signal(signal);
    const Outcome outcome = pack.wait();
    EXPECT_EQ(outcome.exit_code, 128 + signal) << outcome.output;
    EXPECT_THAT(outcome.output, AllOf(HasSubstr(fmt::format("stopped by signal {}", signal)), HasSubstr("pack again")));
    EXPECT_THAT(names(), IsEmpty());
  }
}

TEST_F(PackCommand, RemovesWhatAKilledOneLeft) {
  Subprocess killed(endless());
  wait_until_it_writes(killed);
  killed.signal(SIGKILL);
  killed.wait();
  EXPECT_EQ(names().size(), 1U);
  Subprocess pack(endless());
  wait_until_it_writes(pack);
  EXPECT_THAT(names(), testing::ElementsAre(fmt::format(".tmp-train.packed-{}", pack.pid())));
}

TEST_F(PackCommand, SaysThatATableWithoutValGivesPartOfTrain) {
  const Outcome packed = run_program({TRAINYARD_BINARY, "pack", dir_ / "packed", "--data.name", "csv", "--data.root",
                                      TRAINYARD_SOURCE_DIR "/data/houses", "--data.csv.target", "price"});
  EXPECT_EQ(packed.exit_code, 0) << packed.output;
  EXPECT_THAT(packed.output,
              AllOf(HasSubstr("val: taken out of train (data.val)\n"), HasSubstr("val.packed: 300 records")));
}

TEST_F(PackCommand, WarnsOfATransformThatWouldNoLongerVary) {
  const std::vector<std::string> pack = {
      TRAINYARD_BINARY,           "pack", dir_ / "packed", "--data.name",         "synthetic",
      "--data.synthetic.samples", "20",   "--transform",   "center_crop(size=24)"};
  EXPECT_THAT(run_program(pack).output, testing::Not(HasSubstr("warning")));
  std::vector<std::string> random = pack;
  random.insert(random.end(), {"--transform", "random_horizontal_flip"});
  const Outcome packed = run_program(random);
  EXPECT_EQ(packed.exit_code, 0) << packed.output;
  EXPECT_THAT(packed.output, HasSubstr("[pack] random_horizontal_flip is drawn once for each sample"));
}

TEST_F(PackCommand, RefusesAQualityThatNothingUses) {
  const Outcome outcome = run_program({TRAINYARD_BINARY, "pack", dir_ / "packed", "--data.name", "synthetic",
                                       "--data.synthetic.samples", "20", "--quality", "50"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("[pack] --quality is that of JPEGs: add --as jpeg"));
  EXPECT_FALSE(fs::exists(dir_ / "packed"));
}

TEST_F(PackCommand, RefusesToVerifyWithOptionsOfPacking) {
  for (const std::vector<std::string>& more : {std::vector<std::string>{"--as", "keep"},
                                               {"--quality", "50"},
                                               {"--transform", "resize(size=8)"},
                                               {"--data.root", "x"}}) {
    std::vector<std::string> words = {TRAINYARD_BINARY, "pack", dir_ / "packed", "--verify"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run_program(words);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.output, HasSubstr("[pack] --verify only reads what is there"));
  }
}

TEST_F(PackCommand, SaysThatItsFolderIsAFile) {
  const Outcome outcome = run_program(
      {TRAINYARD_BINARY, "pack", dir_.write("file", ""), "--data.name", "synthetic", "--data.synthetic.samples", "20"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output,
              HasSubstr("/file): File exists; a file is in its place: move it, or choose another path"));
}

TEST_F(PackCommand, MakesNoFolderForWhatCannotBePacked) {
  dir_.write("text", std::string(10'000, 'x'));
  const Outcome outcome =
      run_program({TRAINYARD_BINARY, "pack", dir_ / "packed", "--data.name", "text", "--data.root", dir_ / "text"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("draws its samples"));
  EXPECT_FALSE(fs::exists(dir_ / "packed"));
}

}  // namespace
}  // namespace trainyard
