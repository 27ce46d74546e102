#include <chrono>

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "datasets/image_dataset.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// A small set on disk, and a cache folder of its own.
class ImageFolder : public testing::Test {
 protected:
  ImageFolder() {
    setenv("XDG_CACHE_HOME", (cache_ / "cache").c_str(), 1);
    for (const char* name : {"train/cat/b.jpg", "train/cat/a.jpeg", "train/cat/old/c.JPG", "train/dog/a.png",
                             "test/cat/z.png", "test/dog/y.jpg"}) {
      add(name);
    }
    dir_.write("train/cat/notes.txt", "no picture");
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
      const std::string name = dynamic_cast<const ImageDataset&>(*dataset).name(i);
      result.push_back(name.substr(dir_.path().size() + 1));
    }
    return result;
  }

  // Makes everything old enough for an index to be kept.
  void age() const {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path())) age(entry.path());
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

TEST_F(ImageFolder, ListsPicturesByClassThenFolderThenName) {
  EXPECT_THAT(names(), ElementsAre("train/cat/a.jpeg", "train/cat/b.jpg", "train/cat/old/c.JPG", "train/dog/a.png"));
  EXPECT_THAT(names(Split::test), ElementsAre("test/cat/z.png", "test/dog/y.jpg"));
  EXPECT_THAT(make()->class_names(), ElementsAre("cat", "dog"));
}

TEST_F(ImageFolder, GivesPixelsAndLabels) {
  const auto dataset = make();
  EXPECT_EQ(dataset->spec(), (SampleSpec{{8, 10, 3}, DType::uint8}));
  std::vector<std::byte> out(dataset->spec().bytes());
  EXPECT_EQ(dataset->get(3, out), 1);
  EXPECT_EQ(out, ramp(8, 10, 3).pixels);
  EXPECT_EQ(make(Split::train, 1)->spec(), (SampleSpec{{8, 10, 1}, DType::uint8}));
  EXPECT_EQ(make(Split::train, 1)->channel_mean().size(), 1u);
}

TEST_F(ImageFolder, TakesValForTest) {
  std::filesystem::rename(dir_ / "test", dir_ / "val");
  EXPECT_EQ(names(Split::test).front(), "val/cat/z.png");
}

TEST_F(ImageFolder, GivesTestImagesTheLabelsOfTraining) {
  std::filesystem::remove_all(dir_ / "test/cat");
  const auto test = make(Split::test);
  std::vector<std::byte> out(test->spec().bytes());
  EXPECT_EQ(test->get(0, out), 1);
  add("test/bird/a.jpg");
  EXPECT_THAT(error_of<UsageError>([&] { make(Split::test); }), AllOf(HasSubstr("bird is no class"), HasSubstr("cat")));
}

TEST_F(ImageFolder, NamesWhatItCannotTake) {
  add("train/stray.jpg");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), HasSubstr("stray.jpg lies beside the class folders"));
  std::filesystem::remove(dir_ / "train/stray.jpg");
  dir_.write("train/dog/b.webp", "RIFF");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), AllOf(HasSubstr("b.webp"), HasSubstr("JPEG or PNG")));
  std::filesystem::remove(dir_ / "train/dog/b.webp");
  std::filesystem::create_directory(dir_ / "train/empty");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), HasSubstr("train/empty holds no JPEG or PNG"));
  std::filesystem::remove_all(dir_ / "train");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), HasSubstr("has no folder train"));
}

TEST_F(ImageFolder, NamesAnUnreadablePictureAndStartsWithoutIt) {
  dir_.write("train/cat/a.jpeg", "broken");
  const auto dataset = make();
  std::vector<std::byte> out(dataset->spec().bytes());
  EXPECT_THAT(error_of<RunError>([&] { dataset->get(0, out); }), HasSubstr("train/cat/a.jpeg: is text, 'broken'"));
  EXPECT_EQ(dataset->get(1, out), 0);
  std::filesystem::remove(dir_ / "train/cat/a.jpeg");
  EXPECT_THAT(error_of<RunError>([&] { dataset->get(0, out); }),
              AllOf(HasSubstr("train/cat/a.jpeg"), HasSubstr("No such file")));
}

TEST_F(ImageFolder, FollowsLinksButNotInCircles) {
  std::filesystem::create_directory_symlink(dir_ / "train/cat", dir_ / "train/dog/more");
  std::filesystem::create_directory_symlink(dir_ / "train/dog", dir_ / "train/dog/self");
  EXPECT_THAT(names(), testing::Contains("train/dog/more/a.jpeg"));
  EXPECT_EQ(names().size(), 7u);
}

TEST_F(ImageFolder, KeepsItsIndexUntilAFolderChanges) {
  make();
  EXPECT_EQ(kept(), 0u);  // too young
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
