#include <chrono>

#include <gmock/gmock.h>
#include <unistd.h>

#include "datasets/stored_images.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "support/read_field.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using namespace std::string_literals;

const std::string webp = "RIFF\x10\0\0\0WEBPVP8 "s;

/// A small dataset on disk, with its own cache folder.
class ImageFolder : public testing::Test {
 protected:
  ImageFolder() {
    setenv("XDG_CACHE_HOME", (cache_ / "cache").c_str(), 1);
    for (const char* name : {"train/cat/b.jpg", "train/cat/a.jpeg", "train/cat/old/c.JPG", "train/dog/a.png",
                             "test/cat/z.png", "test/dog/y.jpg"}) {
      add(name);
    }
    dir_.write("train/cat/notes.txt", "not an image");
  }
  ~ImageFolder() override { unsetenv("XDG_CACHE_HOME"); }

  void add(const std::string& name, std::size_t height = 8) {
    dir_.write(name, name.ends_with("png") ? png_file(ramp(height, 10, 3)) : jpeg_file(ramp(height, 10, 3)));
  }

  std::unique_ptr<Dataset> make(Split split = Split::train, int channels = 3) const {
    DataConfig config;
    config.name = "image_folder";
    config.root = dir_.path();
    config.channels = channels;
    return make_dataset(config, split);
  }

  std::vector<std::string> names(Split split = Split::train) const {
    const auto dataset = make(split);
    std::vector<std::string> result;
    for (std::size_t i = 0; i < dataset->size(); ++i) {
      const std::string name = dataset->name(i);
      result.push_back(name.substr(dir_.path().size() + 1));
    }
    return result;
  }

  std::vector<LeftOut> left_out(Split split = Split::train) const {
    const auto dataset = make(split);
    const std::span<const LeftOut> all = dataset->left_out();
    return {all.begin(), all.end()};
  }

  // Makes all files old enough for the index to be kept.
  void age() const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) {
      if (entry.exists()) age(entry.path());
    }
    age(dir_.path());
  }
  static void age(const std::filesystem::path& path) {
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  }
  std::size_t kept() const {
    std::error_code none;
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(cache_.path(), none)) {
      count += entry.is_regular_file() ? 1 : 0;
    }
    return count;
  }

  TempDir dir_;
  TempDir cache_;
};

TEST_F(ImageFolder, ListsImagesByClassThenFolderThenName) {
  EXPECT_THAT(names(), ElementsAre("train/cat/a.jpeg", "train/cat/b.jpg", "train/cat/old/c.JPG", "train/dog/a.png"));
  EXPECT_THAT(names(Split::test), ElementsAre("test/cat/z.png", "test/dog/y.jpg"));
  EXPECT_THAT(make()->class_names(), ElementsAre("cat", "dog"));
}

TEST_F(ImageFolder, GivesPixelsAndLabels) {
  const auto dataset = make();
  EXPECT_EQ(dataset->fields()[0].shape, (Shape{8, 10, 3}));
  std::vector<std::byte> out(dataset->fields()[0].bytes());
  EXPECT_EQ(read_field(*dataset, 3, out), 1);
  EXPECT_EQ(out, ramp(8, 10, 3).pixels);
  EXPECT_EQ(make(Split::train, 1)->fields()[0].shape, (Shape{8, 10, 1}));
  EXPECT_EQ(make(Split::train, 1)->channel_mean().size(), 1u);
}

TEST_F(ImageFolder, EachSplitIsTheFolderOfItsName) {
  EXPECT_EQ(make(Split::val), nullptr);
  std::filesystem::rename(dir_ / "test", dir_ / "val");
  EXPECT_EQ(names(Split::val).front(), "val/cat/z.png");
  EXPECT_EQ(make(Split::test), nullptr);
  std::filesystem::remove_all(dir_ / "train");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), HasSubstr("has no folder train"));
}

TEST_F(ImageFolder, KnowsClassesWithoutReadingImages) {
  const auto dataset = make();
  EXPECT_EQ(dataset->stratum(0), 0u);
  EXPECT_EQ(dataset->stratum(3), 1u);
}

TEST_F(ImageFolder, GivesTestImagesTheLabelsOfTraining) {
  std::filesystem::remove_all(dir_ / "test/cat");
  const auto test = make(Split::test);
  std::vector<std::byte> out(test->fields()[0].bytes());
  EXPECT_EQ(read_field(*test, 0, out), 1);
  add("test/bird/a.jpg");
  add("test/cow/a.jpg");
  EXPECT_THAT(
      error_of<UsageError>([&] { make(Split::test); }),
      AllOf(HasSubstr("class folders that the training images lack: bird, cow"), HasSubstr("have 2: cat, dog")));
}

TEST_F(ImageFolder, NamesWhatItCannotTake) {
  add("train/stray.jpg");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), HasSubstr("stray.jpg lies beside the class folders"));
  std::filesystem::remove(dir_ / "train/stray.jpg");
  std::filesystem::create_directory(dir_ / "train/empty");
  dir_.write("train/void/b.webp", webp);
  EXPECT_THAT(error_of<UsageError>([&] { make(); }),
              AllOf(HasSubstr("2 of the 4 class folders of"), HasSubstr("no JPEG or PNG files: empty, void"),
                    HasSubstr("unread format WebP: 1 (void/b.webp)")));
  std::filesystem::remove_all(dir_ / "train");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), HasSubstr("has no folder train"));
}

TEST_F(ImageFolder, RefusesClassFoldersOneLevelTooDeep) {
  const auto error = [&] { return error_of<UsageError>([&] { make(); }); };
  std::filesystem::rename(dir_ / "train", dir_ / "inner");
  std::filesystem::create_directory(dir_ / "train");
  std::filesystem::rename(dir_ / "inner", dir_ / "train/images");
  const std::string train = dir_ / "train";
  EXPECT_EQ(error(),
            "[data.root] " + train +
                " has a single class folder, images, and its images are all in folders below it (cat, dog): if "
                "they are the classes, move them into " +
                train);
  std::filesystem::rename(dir_ / "train/images", dir_ / "inner");
  std::filesystem::create_directory(dir_ / "train/photos");
  std::filesystem::rename(dir_ / "inner", dir_ / "train/photos/train");
  EXPECT_THAT(error(), HasSubstr("below it (train): set data.root to " + train + "/photos"));
  add("train/photos/a.png");
  EXPECT_EQ(make()->class_names().size(), 1u) << "the task may refuse it";
}

TEST_F(ImageFolder, NamesAnUnreadableImageAndStartsWithoutIt) {
  dir_.write("train/cat/a.jpeg", "broken");
  const auto dataset = make();
  std::vector<std::byte> out(dataset->fields()[0].bytes());
  EXPECT_THAT(error_of<RunError>([&] { read_field(*dataset, 0, out); }),
              HasSubstr("train/cat/a.jpeg: is text, 'broken'"));
  EXPECT_EQ(read_field(*dataset, 1, out), 0);
  std::filesystem::remove(dir_ / "train/cat/a.jpeg");
  EXPECT_THAT(error_of<RunError>([&] { read_field(*dataset, 0, out); }),
              AllOf(HasSubstr("train/cat/a.jpeg"), HasSubstr("No such file")));
}

TEST_F(ImageFolder, FollowsLinksButNotInCircles) {
  std::filesystem::create_directory_symlink(dir_ / "train/cat", dir_ / "train/dog/more");
  std::filesystem::create_directory_symlink(dir_ / "train/dog", dir_ / "train/dog/self");
  EXPECT_THAT(names(), testing::Contains("train/dog/more/a.jpeg"));
  EXPECT_EQ(names().size(), 7u);
}

TEST_F(ImageFolder, FollowsNoLinkToTheFolderOfTheClassesOrAboveIt) {
  std::filesystem::create_directory_symlink("..", dir_ / "train/dog/all_classes");
  std::filesystem::create_directory_symlink(dir_.path(), dir_ / "train/dog/all_splits");
  std::filesystem::create_directory_symlink("/", dir_ / "train/dog/everything");
  EXPECT_EQ(names().size(), 4u) << "no image of another class or split";
  EXPECT_THAT(left_out(),
              testing::Contains(
                  LeftOut{"link to a folder above it", 3, {"dog/all_classes", "dog/all_splits", "dog/everything"}}));
}

TEST_F(ImageFolder, NamesALinkToAFolderAboveIt) {
  std::filesystem::create_directory_symlink(dir_ / "train/dog", dir_ / "train/dog/self");
  std::filesystem::create_directory_symlink("round", dir_ / "train/dog/round");
  EXPECT_THAT(left_out(),
              ElementsAre(LeftOut{"not an image", 1, {"cat/notes.txt"}}, LeftOut{"link in a circle", 1, {"dog/round"}},
                          LeftOut{"link to a folder above it", 1, {"dog/self"}}));
}

TEST_F(ImageFolder, IgnoresLitterAtEveryLevelAndCountsIt) {
  add("train/cat/._a.jpeg");
  add("train/__MACOSX/cat/._a.jpeg");
  add("train/cat/.ipynb_checkpoints/a.jpeg");
  add("train/cat/@eaDir/a.jpeg");
  add("train/._stray.jpg");
  dir_.write("train/.DS_Store", "");
  dir_.write("train/dog/Thumbs.db", "");
  EXPECT_EQ(names().size(), 4u);
  EXPECT_THAT(make()->class_names(), ElementsAre("cat", "dog"));
  std::uint64_t litter = 0;
  for (const LeftOut& one : left_out()) litter += one.reason == litter_reason ? one.count : 0;
  EXPECT_EQ(litter, 7u);
}

TEST_F(ImageFolder, TakesFilesByTheirContentNotByTheirEnding) {
  add("train/dog/b.jfif");
  add("train/dog/c.JPE");
  add("train/dog/d.webp");  // actually a JPEG
  add("train/dog/no_ending");
  dir_.write("train/dog/e.webp", webp);
  dir_.write("train/dog/f.webp", webp);
  dir_.write("train/dog/g.heic", "\0\0\0\x18"s + "ftypheic" + std::string(64, '\0'));
  dir_.write("train/dog/LICENSE", "Do what you like.");
  EXPECT_THAT(names(), testing::IsSupersetOf(
                           {"train/dog/b.jfif", "train/dog/c.JPE", "train/dog/d.webp", "train/dog/no_ending"}));
  EXPECT_EQ(names().size(), 8u);
  EXPECT_THAT(left_out(), ElementsAre(LeftOut{"not an image", 2, {"cat/notes.txt", "dog/LICENSE"}},
                                      LeftOut{"unread format WebP", 2, {"dog/e.webp", "dog/f.webp"}},
                                      LeftOut{"unread format HEIC", 1, {"dog/g.heic"}}));
  EXPECT_EQ(make()->class_counts(), (std::vector<std::uint64_t>{3, 5}));
}

TEST_F(ImageFolder, LeavesOutADanglingLinkUntilItsTargetIsThere) {
  std::filesystem::create_symlink(dir_ / "elsewhere.jpg", dir_ / "train/cat/z.jpg");
  age();
  for (int i = 0; i < 2; ++i) {  // from the disk, then from the kept index
    EXPECT_THAT(left_out(), testing::Contains(LeftOut{"dangling link", 1, {"cat/z.jpg"}}));
    EXPECT_EQ(kept(), 1u);
  }
  add("elsewhere.jpg");
  EXPECT_EQ(names().size(), 5u);
}

TEST_F(ImageFolder, RefusesADanglingLinkInPlaceOfAClassOrSplit) {
  std::filesystem::create_symlink("../not_mounted/bird", dir_ / "train/bird");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }),
              AllOf(HasSubstr("train/bird is a link to ../not_mounted/bird"), HasSubstr("No such file")));
  std::filesystem::remove(dir_ / "train/bird");
  std::filesystem::rename(dir_ / "test", dir_ / "val");
  std::filesystem::create_symlink("../not_mounted", dir_ / "test");
  EXPECT_THAT(error_of<UsageError>([&] { make(Split::test); }), HasSubstr("/test is a link"));
}

TEST_F(ImageFolder, RefusesAFolderThatCannotBeRead) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become a user who may not read a folder";
  namespace fs = std::filesystem;
  fs::permissions(dir_.path(), fs::perms::all);
  fs::permissions(dir_ / "train/cat/old", fs::perms::owner_all);
  ASSERT_EQ(seteuid(65534), 0);
  const std::string error = error_of<RunError>([&] { make(); });
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_THAT(error, AllOf(HasSubstr("train/cat/old"), HasSubstr("Permission denied")));
}

TEST_F(ImageFolder, RefusesFoldersThatAreTooDeep) {
  std::string folder = "train/cat";
  for (int depth = 1; depth <= 64; ++depth) folder += "/d";
  add(folder + "/a.jpg");
  EXPECT_EQ(names().size(), 5u);
  add(folder + "/d/a.jpg");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), HasSubstr("lies deeper than 64 folders below its class"));
}

TEST_F(ImageFolder, RefusesClassNamesThatAreNotUtf8) {
  add("train/caf\xe9/a.jpg");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), AllOf(HasSubstr("train/caf\\xe9"), HasSubstr("not UTF-8")));
}

TEST_F(ImageFolder, TurnsImagesUprightUnlessToldOtherwise) {
  dir_.write("train/cat/a.jpeg", with_exif(jpeg_file(ramp(8, 10, 3)), exif_of(6)));
  EXPECT_EQ(make()->fields()[0].shape, (Shape{10, 8, 3}));
  DataConfig config{.name = "image_folder", .root = dir_.path(), .exif_orientation = false};
  EXPECT_EQ(make_dataset(config, Split::train)->fields()[0].shape, (Shape{8, 10, 3}));
  EXPECT_NE(make_dataset(config, Split::train)->fingerprint(), make()->fingerprint());
  config.max_pixels = 79;
  EXPECT_THAT(error_of<RunError>([&] { make_dataset(config, Split::train); }), HasSubstr("data.max_pixels = 79"));
}

TEST_F(ImageFolder, SeesThatAFileHasChangedInAnUnchangedFolder) {
  age();
  const std::uint64_t fingerprint = make()->fingerprint();
  EXPECT_EQ(kept(), 1u);
  const std::string path = dir_ / "train/cat/b.jpg";
  const auto time = std::filesystem::last_write_time(path);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + 1);
  std::filesystem::last_write_time(path, time);
  EXPECT_NE(make()->fingerprint(), fingerprint);
}

TEST_F(ImageFolder, KeepsItsIndexUntilAFolderChanges) {
  make();
  EXPECT_EQ(kept(), 0u);  // too recent
  age();
  const std::uint64_t fingerprint = make()->fingerprint();
  EXPECT_EQ(kept(), 1u);
  EXPECT_EQ(make()->fingerprint(), fingerprint);
  add("train/cat/old/d.jpg");
  EXPECT_EQ(names().size(), 5u);
  EXPECT_NE(make()->fingerprint(), fingerprint);
  std::filesystem::remove(dir_ / "train/cat/old/d.jpg");
  EXPECT_EQ(make()->fingerprint(), fingerprint);
}

TEST_F(ImageFolder, MakesADamagedIndexAnew) {
  age();
  const std::uint64_t fingerprint = make()->fingerprint();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(cache_.path())) {
    if (entry.is_regular_file()) std::filesystem::resize_file(entry.path(), entry.file_size() - 3);
  }
  EXPECT_EQ(make()->fingerprint(), fingerprint);
}

}  // namespace
}  // namespace trainyard
