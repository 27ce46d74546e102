#include "config/paths.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "support/temp_dir.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The test runs in a temporary working folder.
class ResolvePaths : public testing::Test {
 protected:
  ResolvePaths() : before_(fs::current_path()) {
    fs::create_directories(dir_ / "now");
    fs::create_directories(dir_ / "then/data/mine");
    fs::current_path(dir_ / "now");
    config_.run.started_in = dir_ / "then";
    config_.data.root = "data/mine";
  }
  ~ResolvePaths() override { fs::current_path(before_); }

  TempDir dir_;
  fs::path before_;
  Config config_;
};

TEST_F(ResolvePaths, RelativePathIsTakenFromTheFolderItWasGivenIn) {
  config_.model.weights = "../w.safetensors";
  config_.run.resume = "runs/a";
  EXPECT_THAT(resolve_paths(config_), IsEmpty());
  EXPECT_EQ(config_.data.root, dir_ / "then/data/mine");
  EXPECT_EQ(config_.model.weights, dir_ / "w.safetensors");
  EXPECT_EQ(config_.run.resume, dir_ / "then/runs/a");
  EXPECT_EQ(config_.run.dir, "runs") << "new runs go to the current folder";
  EXPECT_EQ(config_.run.started_in, fs::current_path().string());
}

TEST_F(ResolvePaths, NameOfWeightsIsAFileInTheirFolder) {
  config_.run.started_in = "";
  config_.model.weights = "vit_small_patch16_224.augreg_in1k";
  resolve_paths(config_);
  EXPECT_EQ(config_.model.weights, "data/weights/vit_small_patch16_224.augreg_in1k.safetensors");
  config_.run.started_in = dir_ / "then";
  resolve_paths(config_);
  EXPECT_EQ(config_.model.weights, dir_ / "then/data/weights/vit_small_patch16_224.augreg_in1k.safetensors");
}

TEST_F(ResolvePaths, PathOfWeightsIsNoName) {
  config_.run.started_in = "";
  std::ofstream("resnet18.pth");  // other formats are refused later, with their own error
  for (const char* const path : {"w.safetensors", "./w", "/w", "resnet18.pth", "missing.pth"}) {
    config_.model.weights = path;
    resolve_paths(config_);
    EXPECT_EQ(config_.model.weights, path);
  }
}

TEST_F(ResolvePaths, MovedFolderIsFoundFromTheCurrentOneAndSaidSo) {
  fs::create_directories(dir_ / "now/data");
  fs::rename(dir_ / "then/data/mine", dir_ / "now/data/mine");
  EXPECT_THAT(resolve_paths(config_), ElementsAre(AllOf(HasSubstr("[data.root]"), HasSubstr(dir_ / "then/data/mine"))));
  EXPECT_EQ(config_.data.root, "data/mine");
}

TEST_F(ResolvePaths, AnotherFolderOfTheSameNameIsNamed) {
  fs::create_directories(dir_ / "now/data/mine");
  EXPECT_THAT(resolve_paths(config_),
              ElementsAre(AllOf(HasSubstr("[data.root] data/mine is also in the current folder, and " +
                                          std::string(dir_ / "then/data/mine") + " is used"),
                                HasSubstr("give --data.root " + std::string(dir_ / "now/data/mine")))));
  EXPECT_EQ(config_.data.root, dir_ / "then/data/mine");
}

TEST_F(ResolvePaths, ALinkToTheSameFolderIsNoOther) {
  fs::create_directories(dir_ / "now/data");
  fs::create_directory_symlink(dir_ / "then/data/mine", dir_ / "now/data/mine");
  EXPECT_THAT(resolve_paths(config_), IsEmpty());
}

TEST_F(ResolvePaths, MissingPathIsNamedWhereItWas) {
  fs::remove_all(dir_ / "then");
  EXPECT_THAT(resolve_paths(config_), IsEmpty());
  EXPECT_EQ(config_.data.root, dir_ / "then/data/mine");
}

TEST_F(ResolvePaths, StandardFolderOfTheDatasetIsFoundToo) {
  fs::create_directories(dir_ / "then/data/fashion-mnist");
  config_.data.root = "";
  config_.data.name = "fashion_mnist";
  resolve_paths(config_);
  EXPECT_EQ(config_.data.root, dir_ / "then/data/fashion-mnist");
}

TEST_F(ResolvePaths, NothingChangesInTheSameFolderOrWithoutARecord) {
  for (const std::string& folder : {fs::current_path().string(), std::string()}) {
    config_.run.started_in = folder;
    EXPECT_THAT(resolve_paths(config_), IsEmpty());
    EXPECT_EQ(config_.data.root, "data/mine");
  }
}

TEST_F(ResolvePaths, AbsoluteAndEmptyPathsStay) {
  config_.data.root = "/elsewhere";
  resolve_paths(config_);
  EXPECT_EQ(config_.data.root, "/elsewhere");
  EXPECT_EQ(config_.model.weights, "");
}

}  // namespace
}  // namespace trainyard
