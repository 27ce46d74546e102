// What `trainyard data` and the beginning of `train` print about the data of a run.

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "support/image_files.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "util/system.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Folders of two classes with four images each.
class DataCommand : public testing::Test {
 protected:
  DataCommand() {
    for (const char* folder : {"train/cat", "train/dog", "val/cat", "val/dog", "test/cat", "test/dog"}) {
      for (int i = 0; i < 4; ++i) {
        dir_.write(fmt::format("{}/{}.jpg", folder, i), jpeg_file(noisy_ramp(16, 16, 3), 90));
      }
    }
  }

  Outcome program(const std::string& command, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {TRAINYARD_BINARY, command,       "--data.name",
                                      "image_folder",   "--data.root", dir_.path()};
    words.insert(words.end(), more.begin(), more.end());
    return run_program(words, {"XDG_CACHE_HOME=" + (cache_ / "cache")});
  }

  TempDir dir_;
  TempDir cache_;
};

TEST_F(DataCommand, CountsClassesAndReadsEverySample) {
  const Outcome outcome = program("data");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("train   8 samples of 2 classes, 4 each"), HasSubstr("train   all 8 samples can be read"),
                    HasSubstr("test    all 8 samples can be read"), Not(HasSubstr("warning"))));
}

TEST_F(DataCommand, ShowsValTakenOutOfTrainAndAMissingTest) {
  std::filesystem::remove_all(dir_ / "val");
  std::filesystem::remove_all(dir_ / "test");
  const Outcome outcome = program("data", {"--data.val", "3"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("train   5 samples of 2 classes"), HasSubstr("val     3 samples"),
                                    HasSubstr("taken out of train (data.val)"), HasSubstr("test    none: ")));
}

TEST_F(DataCommand, CountsCategoriesThatTrainLacks) {
  dir_.write("table/train.csv", "k,y\n1,2\n2,3\n");
  dir_.write("table/val.csv", "k,y\n1.0,2\n 2,3\n");
  const Outcome outcome = run_program({TRAINYARD_BINARY, "data", "--data.name", "csv", "--data.root", dir_ / "table",
                                       "--data.csv.target", "y", "--data.csv.categorical", "k"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("[data] val: the column 'k' has 1 of 2 rows with values that train lacks, e.g. "
                                        "'1.0'; they count as unknown"));
}

TEST_F(DataCommand, ListsEverySampleThatCannotBeRead) {
  const std::string jpeg = jpeg_file(noisy_ramp(16, 16, 3), 90);
  dir_.write("train/cat/0.jpg", jpeg.substr(0, jpeg.size() / 2));
  dir_.write("train/cat/1.jpg", "<!DOCTYPE html><html>404</html>");
  dir_.write("train/cat/2.jpg", "GIF89a");
  dir_.write("train/dog/3.jpg", "");
  dir_.write("test/dog/0.jpg", "version https://git-lfs.github.com/spec/v1\n");
  const Outcome outcome = program("data");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("4 of 8 samples cannot be read"), HasSubstr("train/cat/0.jpg: truncated JPEG"),
                    HasSubstr("train/cat/1.jpg: is HTML"), HasSubstr("train/cat/2.jpg: is a GIF image"),
                    HasSubstr("train/dog/3.jpg: is empty"), HasSubstr("1 of 8 samples cannot be read"),
                    HasSubstr("test/dog/0.jpg: is a Git LFS pointer")));
}

TEST_F(DataCommand, ListsEverySampleOfASplitThatCannotBeRead) {
  for (int i = 0; i < 4; ++i) {
    dir_.write(fmt::format("train/cat/{}.jpg", i), "");
    dir_.write(fmt::format("train/dog/{}.jpg", i), "GIF89a");
  }
  const Outcome outcome = program("data");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("none of the 8 images can be read"), HasSubstr("train/cat/0.jpg: is empty"),
                    HasSubstr("train/cat/3.jpg: is empty"), HasSubstr("train/dog/3.jpg: is a GIF image")));
}

TEST_F(DataCommand, GivesEverythingAsJson) {
  dir_.write("train/dog/3.jpg", "");
  dir_.write("train/dog/._3.jpg", "litter");
  const Outcome outcome = program("data", {"--json"});
  EXPECT_EQ(outcome.exit_code, 1);
  const nlohmann::json train = nlohmann::json::parse(outcome.output)["splits"][0];
  EXPECT_EQ(train["samples"], 8);
  EXPECT_EQ(train["classes"][1]["samples"], 4);
  EXPECT_EQ(train["left_out"][0]["reason"], "litter");
  ASSERT_EQ(train["unreadable"].size(), 1u);
  EXPECT_EQ(train["unreadable"][0]["index"], 7);
  EXPECT_EQ(train["unreadable"][0]["name"], dir_ / "train/dog/3.jpg");
  EXPECT_THAT(train["unreadable"][0]["error"].get<std::string>(), HasSubstr("is empty"));
}

TEST_F(DataCommand, NamesLitterWhenAsked) {
  dir_.write("train/dog/._3.jpg", "litter");
  EXPECT_THAT(program("data").output, Not(HasSubstr("litter")));
  EXPECT_THAT(program("data", {"-v"}).output, HasSubstr("litter: 1 (first dog/._3.jpg)"));
}

TEST_F(DataCommand, TrainSaysWhatItLeavesOutAndKeepsIt) {
  dir_.write("train/cat/w.webp", "RIFF....WEBPVP8 ");
  std::filesystem::create_symlink("../nowhere.jpg", dir_ / "train/cat/z.jpg");
  std::filesystem::remove_all(dir_ / "test/dog");
  const TempDir runs;
  const Outcome outcome = program("train", {"--train.fast_dev_run", "--run.dir", runs.path(), "--run.name", "a",
                                            "--train.device", "cpu", "--loader.batch_size", "4"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("data    train 8 samples of 2 classes, 4 each"),
                                    HasSubstr("[data] train: left out: unread format WebP: 1 (cat/w.webp); dangling "
                                              "link: 1 (cat/z.jpg)"),
                                    HasSubstr("[data] test: 1 of 2 classes has no samples: dog")));
  const nlohmann::json data = nlohmann::json::parse(read_text_file(runs / "scratch/a/data.json", "test"));
  EXPECT_EQ(data["splits"][0]["left_out"][1]["reason"], "dangling link");
  const Outcome evaluated = run_program({TRAINYARD_BINARY, "eval", runs / "scratch/a", "--json"});
  for (const auto& mistake : nlohmann::json::parse(evaluated.output)["worst"]) {
    EXPECT_THAT(mistake["name"].get<std::string>(), HasSubstr(".jpg"));
  }
}

}  // namespace
}  // namespace trainyard
