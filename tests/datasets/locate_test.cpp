#include "datasets/locate.h"

#include <gmock/gmock.h>

#include "datasets/splits.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class LocateFiles : public testing::Test {
 protected:
  TempDir dir_;
  Places places_{"Things", {"below"}, {dir_ / "first", dir_ / "second"}, "make some"};
};

TEST_F(LocateFiles, TakesTheFirstFolderThatHasAllFiles) {
  dir_.write("first/a", "");
  dir_.write("second/a", "");
  dir_.write("second/b", "");
  EXPECT_THAT(locate_files(places_, "", {{"a"}, {"b"}}), ElementsAre(dir_ / "second/a", dir_ / "second/b"));
}

TEST_F(LocateFiles, TakesTheFirstOfSeveralNames) {
  dir_.write("first/a", "");
  dir_.write("first/a.gz", "");
  EXPECT_THAT(locate_files(places_, "", {{"a", "a.gz"}}), ElementsAre(dir_ / "first/a"));
  EXPECT_THAT(locate_files(places_, "", {{"A", "a.gz"}}), ElementsAre(dir_ / "first/a.gz"));
}

TEST_F(LocateFiles, LooksOnlyInTheRootThatIsGiven) {
  dir_.write("first/a", "");
  dir_.write("root/below/a", "");
  EXPECT_THAT(locate_files(places_, dir_ / "root", {{"a"}}), ElementsAre(dir_ / "root/below/a"));
  EXPECT_THAT(error_of<UsageError>([&] { locate_files(places_, dir_ / "root/below", {{"b"}}); }),
              AllOf(HasSubstr(dir_ / "root/below (lacks b)"), Not(HasSubstr("first"))));
}

TEST_F(LocateFiles, AFileAsRootIsRefusedByEveryDatasetOfAFolder) {
  dir_.write("file", "");
  for (const std::string dataset : {"cifar10", "csv --data.csv.target y", "fashion_mnist", "image_folder",
                                    "image_labels", "image_masks", "mnist", "packed", "tar_shards", "tokens"}) {
    const DataConfig config = configured("--data.name " + dataset + " --data.root " + (dir_ / "file")).data;
    EXPECT_THAT(error_of<UsageError>([&] { make_splits(config); }),
                HasSubstr("[data.root] " + (dir_ / "file") + " is a file; give the folder"))
        << dataset;
  }
}

TEST_F(LocateFiles, AMissingRootIsNamedByEveryDatasetWithTheCurrentFolder) {
  for (const std::string dataset :
       {"cifar10", "csv --data.csv.target y", "fashion_mnist", "image_folder", "image_labels", "image_masks", "mnist",
        "packed", "tar_shards", "text", "tokens --data.tokens.vocabulary 9"}) {
    const auto error_for = [&](const std::string& root) {
      const DataConfig config = configured("--data.name " + dataset + " --data.root " + root).data;
      return error_of<UsageError>([&] { make_splits(config); });
    };
    const std::string folder = std::filesystem::current_path().string();
    EXPECT_THAT(error_for("nowhere/else"), HasSubstr(" nowhere/else (in " + folder + "); set data.root to")) << dataset;
    EXPECT_THAT(error_for(dir_ / "nowhere"), HasSubstr(" " + (dir_ / "nowhere") + "; set data.root to")) << dataset;
  }
}

TEST_F(LocateFiles, ListsTheFoldersItLookedInAndWhatToDo) {
  dir_.write("second/a", "");
  EXPECT_THAT(error_of<UsageError>([&] { locate_files(places_, "", {{"a"}, {"b"}}); }),
              AllOf(HasSubstr("[data.root] Things"), HasSubstr(dir_ / "first (no such folder)"),
                    HasSubstr(dir_ / "second (lacks b)"), HasSubstr("make some")));
}

TEST_F(LocateFiles, ARootMustBeAFolder) {
  const std::string file = dir_.write("file", "");
  EXPECT_THAT(error_of<UsageError>([&] { locate_files(places_, file, {{"a"}}); }),
              HasSubstr(file + " is a file; give the folder"));
}

TEST_F(LocateFiles, SaysWhyAFolderCannotBeRead) {
  std::filesystem::create_symlink("first", dir_ / "first");  // a link to itself
  EXPECT_THAT(error_of<UsageError>([&] { locate_files(places_, "", {{"a"}}); }),
              HasSubstr(dir_ / "first (Too many levels of symbolic links)"));
}

TEST_F(LocateFiles, LeavesLinksToNowhereToTheReader) {
  dir_.write("first/b", "");
  std::filesystem::create_symlink("nowhere", dir_ / "first/a");
  EXPECT_THAT(locate_files(places_, "", {{"a"}, {"b"}}), ElementsAre(dir_ / "first/a", dir_ / "first/b"));
}

TEST_F(LocateFiles, PassesOverFoldersWithTheNameOfAFile) {
  std::filesystem::create_directories(dir_ / "first/a");
  dir_.write("first/a.gz", "");
  EXPECT_THAT(locate_files(places_, "", {{"a", "a.gz"}}), ElementsAre(dir_ / "first/a.gz"));
}

}  // namespace
}  // namespace trainyard
