#include <algorithm>
#include <sstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "commands/predictor.h"
#include "commands/small_run.h"
#include "datasets/dataset.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "support/read_field.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using PredictCommand = SmallRun;

// Returns test image `index` as the bytes of a PNG file.
std::string test_image(std::size_t index) {
  const auto dataset = make_dataset(synthetic_data("16,16,3", 640, 5), Split::test);
  Image image{16, 16, 3, std::vector<std::byte>(dataset->fields()[0].bytes())};
  read_field(*dataset, index, image.pixels);
  return png_file(image);
}

std::vector<nlohmann::json> lines_of(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with("{")) lines.push_back(nlohmann::json::parse(line));
  }
  return lines;
}

TEST_F(PredictCommand, PrintsTheTopClassesWithTheirShares) {
  const TempDir images;
  const std::string file = images.write("one.png", test_image(3));
  const Outcome outcome = run_program({TRAINYARD_BINARY, "predict", run(), file, "--top", "2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr(file + "\n"), HasSubstr(" %  class ")));
  EXPECT_EQ(std::count(outcome.output.begin(), outcome.output.end(), '\n'), 3);
}

TEST_F(PredictCommand, ReadsAFolderAndGoesOnAfterABadFile) {
  const TempDir images;
  for (std::size_t i = 0; i < 40; ++i) images.write(fmt::format("deep/{:02}.png", i), test_image(i));
  images.write("deep/05-bad.jpg", "not an image");  // sorts before 05.png
  images.write("deep/notes.txt", "not looked at");
  const Outcome outcome = run_program({TRAINYARD_BINARY, "predict", run(), images.path(), "--json"});
  EXPECT_EQ(outcome.exit_code, 1);
  const std::vector<nlohmann::json> lines = lines_of(outcome.output);
  ASSERT_EQ(lines.size(), 41u) << outcome.output;
  EXPECT_EQ(lines[5]["file"], images / "deep/05-bad.jpg");
  EXPECT_THAT(lines[5]["error"].get<std::string>(), HasSubstr("05-bad.jpg"));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i == 5) continue;
    double sum = 0;
    for (const auto& one : lines[i]["predictions"]) sum += one["probability"].get<double>();
    EXPECT_EQ(lines[i]["predictions"].size(), 3u);
    EXPECT_TRUE(sum > 0.6 && sum < 1.0001) << sum;
  }
}

TEST_F(PredictCommand, ReadsNamesFromStandardInput) {
  const TempDir images;
  const std::string a = images.write("a b.png", test_image(0));
  const std::string b = images.write("b.png", test_image(1));
  const std::string names = images.write("names", a + "\n\n" + b + "\n");
  const Outcome outcome =
      run_program({"sh", "-c", fmt::format("'{}' predict '{}' --json - < '{}'", TRAINYARD_BINARY, run(), names)});
  EXPECT_EQ(outcome.exit_code, 0);
  const std::vector<nlohmann::json> lines = lines_of(outcome.output);
  ASSERT_EQ(lines.size(), 2u) << outcome.output;
  EXPECT_EQ(lines[0]["file"], a);
  EXPECT_EQ(lines[1]["file"], b);
}

TEST_F(PredictCommand, NamesAMissingFileAndAFolderWithoutImages) {
  const TempDir images;
  const Outcome outcome = run_program({TRAINYARD_BINARY, "predict", run(), "/nowhere.png", images.path()});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("/nowhere.png"), HasSubstr("holds no images")));
}

TEST_F(PredictCommand, ReadsListsFromFindAndFromWindows) {
  const TempDir images;
  const std::string a = images.write("a\nb.png", test_image(0));
  const std::string b = images.write("b.png", test_image(1));
  const auto predicted = [&](const std::string& list) {
    const std::string names = images.write("names", list);
    const Outcome outcome =
        run_program({"sh", "-c", fmt::format("'{}' predict '{}' --json - < '{}'", TRAINYARD_BINARY, run(), names)});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    std::vector<std::string> files;
    for (const nlohmann::json& line : lines_of(outcome.output)) files.push_back(line["file"]);
    return files;
  };
  EXPECT_THAT(predicted(a + '\0' + b + '\0'), testing::ElementsAre(a, b));
  EXPECT_THAT(predicted("\xef\xbb\xbf" + b + "\r\n"), testing::ElementsAre(b));
}

TEST_F(PredictCommand, RefusesOtherKindsOfFilesWithoutWaiting) {
  const TempDir images;
  images.write("a.png", test_image(0));
  ASSERT_EQ(mkfifo((images / "pipe.jpg").c_str(), 0600), 0);
  std::filesystem::create_symlink("nowhere", images / "gone.jpg");
  const Outcome outcome =
      run_program({TRAINYARD_BINARY, "predict", run(), images.path(), "/dev/zero", images / "pipe.jpg"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("a.png\n"), HasSubstr("pipe.jpg is a named pipe"),
                                    HasSubstr("/dev/zero is a device"), HasSubstr("gone.jpg")));
}

TEST_F(PredictCommand, ShowsNamesThatAreNotUtf8) {
  const TempDir images;
  const std::string file = images.write("\xff\x1b.png", test_image(0));
  EXPECT_THAT(run_program({TRAINYARD_BINARY, "predict", run(), file}).output, HasSubstr("/\\xff\\x1b.png\n"));
  const std::vector<nlohmann::json> lines =
      lines_of(run_program({TRAINYARD_BINARY, "predict", run(), file, file + ".jpg", "--json"}).output);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0]["file"].get<std::string>(), HasSubstr("\\xff\\x1b.png"));
  EXPECT_THAT(lines[0]["file_bytes"].get<std::string>(), HasSubstr("2fff1b2e706e67"));
  EXPECT_THAT(lines[1]["file_bytes"].get<std::string>(), testing::EndsWith("2fff1b2e706e672e6a7067"));
  EXPECT_TRUE(lines[1].contains("error"));
}

TEST(RequireInputs, RefusesFieldsThatNoInputHas) {
  const Field image{.name = "image", .shape = {8, 8, 3}};
  const Field other{.name = "other", .shape = {8, 8, 3}};
  const Field numeric{.name = "numeric", .dtype = DType::float32, .shape = {1}, .columns = {{.name = "rooms"}}};
  EXPECT_NO_THROW(require_inputs({image}, true));
  EXPECT_NO_THROW(require_inputs({numeric}, false));
  EXPECT_EQ(
      error_of<UsageError>([&] { require_inputs({image, other}, true); }),
      "[predict] the model reads image (uint8, 8 x 8 x 3), other (uint8, 8 x 8 x 3), but an image file has only the "
      "field image: use trainyard eval, which reads a dataset");
  EXPECT_THAT(error_of<UsageError>([&] { require_inputs({numeric}, true); }), HasSubstr("has only the field image"));
  EXPECT_THAT(error_of<UsageError>([&] { require_inputs({other}, false); }), HasSubstr("other has no named columns"));
}

TEST_F(PredictCommand, ImagesHaveTheSizeOfValNotOfTrain) {
  const Outcome trained = train("cropped", {"--transform.train", "random_crop(size=12)"}, "1");
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  const TempDir images;
  for (std::size_t i = 0; i < 3; ++i) images.write(fmt::format("{}.png", i), test_image(i));
  const auto predicted = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {TRAINYARD_BINARY, "predict", *dir_ / "cropped", images.path(), "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return lines_of(run_program(words).output);
  };
  const std::vector<nlohmann::json> lines = predicted({});
  EXPECT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines, predicted({"--transform.test", "resize(height=16, width=16)"}));
  EXPECT_NE(lines, predicted({"--transform.test", "resize(height=12, width=12)"}));
}

TEST_F(PredictCommand, AgreesWithEvalOnTheSameImages) {
  const TempDir images;
  for (std::size_t i = 0; i < 128; ++i) images.write(fmt::format("{:03}.png", i), test_image(i));
  const std::vector<nlohmann::json> lines =
      lines_of(run_program({TRAINYARD_BINARY, "predict", run(), images.path(), "--json"}).output);
  ASSERT_EQ(lines.size(), 128u);
  int right = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) right += lines[i]["predictions"][0]["index"] == i % 5 ? 1 : 0;
  const nlohmann::json evaluated =
      nlohmann::json::parse(run_program({TRAINYARD_BINARY, "eval", run(), "--json"}).output);
  EXPECT_DOUBLE_EQ(evaluated["test/accuracy"].get<double>(), right / 128.0);
}

}  // namespace
}  // namespace trainyard
