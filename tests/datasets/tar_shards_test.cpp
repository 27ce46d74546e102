#include <chrono>

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include "datasets/stored_images.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "support/read_field.h"
#include "support/subprocess.h"
#include "support/tar_file.h"
#include "support/temp_dir.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

/// A folder of tar files written by the system's tar.
class TarShards : public testing::Test {
 protected:
  TarShards() { setenv("XDG_CACHE_HOME", (dir_ / "cache").c_str(), 1); }
  ~TarShards() override { unsetenv("XDG_CACHE_HOME"); }

  void tar(const std::string& shard, const std::vector<std::pair<std::string, std::string>>& members,
           const std::string& format = "gnu") const {
    const TempDir files;
    std::vector<std::string> command{"tar", "--format=" + format, "-C", files.path(), "-cf", dir_ / shard};
    for (const auto& [name, content] : members) {
      files.write(name, content);
      command.push_back(name);
    }
    std::filesystem::create_directories(std::filesystem::path(dir_ / shard).parent_path());
    const Outcome outcome = run_program(command);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  }

  void make_small_set() const {
    tar("train/0.tar", {{"a.jpg", jpeg_file(ramp(8, 10, 3))},
                        {"a.cls", "2"},
                        {"a.json", "{}"},
                        {"b.cls", "0\n"},
                        {"b.png", png_file(ramp(8, 10, 3))}});
    tar("train/1.tar", {{"x/c.seg.png", "other"}, {"x/c.JPEG", jpeg_file(ramp(8, 10, 3))}, {"x/c.cls", "1"}});
    tar("val/0.tar", {{"d.cls", "1"}, {"d.jpg", jpeg_file(ramp(8, 10, 3))}});
  }

  /// Writes a shard with these members.
  void write(const std::string& shard, const std::string& members) const { dir_.write(shard, members + tar_end()); }

  /// Returns the reasons for leaving members out, each with its count and first names, relative to the folder of
  /// shards.
  std::vector<std::string> left_out(const Dataset& dataset) const {
    std::vector<std::string> texts;
    for (const LeftOut& one : dataset.left_out()) {
      std::string text = fmt::format("{} {}: {}", one.count, one.reason, fmt::join(one.first, ", "));
      for (std::size_t at = 0; (at = text.find(dir_ / "train/")) != std::string::npos;) {
        text.erase(at, (dir_ / "train/").size());
      }
      texts.push_back(text);
    }
    return texts;
  }

  std::unique_ptr<Dataset> make(Split split = Split::train) const {
    DataConfig config;
    config.name = "tar_shards";
    config.root = dir_.path();
    return make_dataset(config, split);
  }

  TempDir dir_;
};

TEST_F(TarShards, GivesEachImageWithItsClass) {
  make_small_set();
  const auto train = make();
  ASSERT_EQ(train->size(), 3u);
  EXPECT_THAT(train->class_names(), ElementsAre("0", "1", "2"));
  std::vector<std::byte> out(train->fields()[0].bytes());
  EXPECT_EQ(read_field(*train, 0, out), 2);
  EXPECT_EQ(read_field(*train, 1, out), 0);
  EXPECT_EQ(out, ramp(8, 10, 3).pixels);
  EXPECT_EQ(read_field(*train, 2, out), 1);
  EXPECT_THAT(train->name(2), HasSubstr("train/1.tar: x/c.JPEG"));
  EXPECT_THAT(make(Split::val)->class_names(), ElementsAre("0", "1", "2"));
  EXPECT_EQ(make(Split::test), nullptr);
  EXPECT_EQ(train->stratum(0), 2u);
}

TEST_F(TarShards, TakesNamesFromClassesTxt) {
  make_small_set();
  dir_.write("classes.txt",
             "\xef\xbb\xbf"
             "cat \r\ndog\t\r\nbird\r\nfish\r\n\r\n");
  EXPECT_THAT(make()->class_names(), ElementsAre("cat", "dog", "bird", "fish"));
  EXPECT_THAT(make()->class_counts(), ElementsAre(1, 1, 1, 0));
  dir_.write("classes.txt", "cat\ndog\n");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }),
              AllOf(HasSubstr("2 lines"), HasSubstr("0.tar: the sample of a.jpg has class 2")));
  dir_.write("classes.txt", "cat\n\nbird\n");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), HasSubstr("classes.txt: line 2 is empty"));
  std::filesystem::remove(dir_ / "classes.txt");
  std::filesystem::create_directory(dir_ / "classes.txt");
  EXPECT_THAT(error_of<RunError>([&] { make(); }), AllOf(HasSubstr("classes.txt"), HasSubstr("a folder")));
}

TEST_F(TarShards, NoticesNewClassNamesDespiteTheCache) {
  make_small_set();
  const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::hours(1);
  for (const char* path : {"train/0.tar", "train/1.tar", "train", ""}) {
    std::filesystem::last_write_time(dir_ / path, old);
  }
  EXPECT_THAT(make()->class_names(), ElementsAre("0", "1", "2"));
  dir_.write("classes.txt", "cat\ndog\nbird\n");
  EXPECT_THAT(make()->class_names(), ElementsAre("cat", "dog", "bird"));
}

TEST_F(TarShards, ReadsClassesAsPeopleWriteThem) {
  const std::string image = jpeg_file(ramp(8, 10, 3));
  write("train/0.tar", tar_member("a.jpg", image) +
                           tar_member("a.cls",
                                      "\xef\xbb\xbf"
                                      "1\r\n") +
                           tar_member("b.cls", " 0 \n\n") + tar_member("b.jpg", image));
  const auto train = make();
  ASSERT_EQ(train->size(), 2u);
  std::vector<std::byte> out(train->fields()[0].bytes());
  EXPECT_EQ(read_field(*train, 0, out), 1);
  EXPECT_EQ(read_field(*train, 1, out), 0);
  for (const std::string text : {"cat", "", "-1", "1.0", "1 2", "1\n2", "1000000", "0x1", "1\x1b[2J"}) {
    write("train/0.tar", tar_member("a.jpg", image) + tar_member("a.cls", text));
    EXPECT_THAT(error_of<RunError>([&] { make(); }),
                AllOf(HasSubstr("0.tar: a.cls holds '" + printable(text) + "'"), HasSubstr("0 to 999999")));
  }
}

TEST_F(TarShards, FollowsTheKeysOfWebDataset) {
  const std::string image = jpeg_file(ramp(8, 10, 3));
  write("train/0.tar", tar_member("a.b/0.JPG", image) + tar_member("a.b/0.cls", "0") +  // dots in a folder's name
                           tar_member("1.seg.png", "other") + tar_member("1.jpg", image) + tar_member("1.cls", "0") +
                           tar_member("2.5.jpg", image) + tar_member("2.5.cls", "0") + tar_member("noending", "x") +
                           tar_member("__shard__.json", "{}") + tar_member("__meta__/3.jpg", image));
  const auto train = make();
  EXPECT_EQ(train->size(), 2u);
  EXPECT_THAT(left_out(*train), ElementsAre("4 not needed: 0.tar: 1.seg.png, 0.tar: noending, 0.tar: __meta__/3.jpg",
                                            "1 sample with a dot in its key (a key ends at the first dot: rename it): "
                                            "0.tar: 2.5.jpg"));
}

TEST_F(TarShards, CountsWhatItLeavesOut) {
  const std::string image = jpeg_file(ramp(8, 10, 3));
  write("train/0.tar", tar_member("./._a.jpg", "mac") + tar_member("./a.jpg", image) + tar_member("./._a.cls", "mac") +
                           tar_member("./a.cls", "0") + tar_member("__MACOSX/a.jpg", "mac") +
                           tar_member("a.json", "{}") + tar_member("b.jpg", image) + tar_member("c.cls", "1") +
                           tar_member("c.webp", "x") + tar_header("d.jpg", '2', "0", "elsewhere") +
                           tar_member("d.cls", "1"));
  dir_.write("train/._0.tar", "mac");
  dir_.write("train/1.tar.gz", "compressed");
  const auto train = make();
  EXPECT_EQ(train->size(), 1u);
  EXPECT_THAT(left_out(*train),
              UnorderedElementsAre(
                  "4 litter: ._0.tar, 0.tar: ./._a.jpg, 0.tar: ./._a.cls", "1 not a tar shard (*.tar): 1.tar.gz",
                  "1 symbolic link: 0.tar: d.jpg", "1 not needed: 0.tar: a.json",
                  "1 sample without a class (.cls): 0.tar: b.jpg",
                  "2 sample without an image (.jpg, .jpeg, .png): 0.tar: c with cls, webp, 0.tar: d with cls"));
  EXPECT_THAT(list_left_out(train->left_out()), AllOf(HasSubstr("sample without a class (.cls): 1 ("),
                                                      Not(HasSubstr("litter")), Not(HasSubstr("a.json"))));
}

TEST_F(TarShards, ReadsHardLinks) {
  const std::string image = jpeg_file(ramp(8, 10, 3));
  write("train/0.tar", tar_member("a.jpg", image) + tar_member("a.cls", "0") + tar_header("b.jpg", '1', "0", "a.jpg") +
                           tar_header("b.cls", '1', "0", "a.cls"));
  const auto train = make();
  ASSERT_EQ(train->size(), 2u);
  std::vector<std::byte> a(train->fields()[0].bytes());
  std::vector<std::byte> b(train->fields()[0].bytes());
  EXPECT_EQ(read_field(*train, 0, a), read_field(*train, 1, b));
  EXPECT_EQ(a, b);
}

TEST_F(TarShards, RefusesSamplesThatLieApart) {
  const std::string image = jpeg_file(ramp(8, 10, 3));
  write("train/0.tar",
        tar_member("a.jpg", image) + tar_member("b.jpg", image) + tar_member("a.cls", "0") + tar_member("b.cls", "0"));
  EXPECT_THAT(error_of<RunError>([&] { make(); }),
              AllOf(HasSubstr("0.tar: sample a has its image and its class apart"), HasSubstr("tar --sort=name")));
  const std::string a = tar_member("a.jpg", image) + tar_member("a.cls", "0");
  write("train/0.tar", a + tar_member("b.jpg", image) + tar_member("b.cls", "0") + a);
  EXPECT_THAT(error_of<RunError>([&] { make(); }), HasSubstr("sample a is there twice"));
  write("train/0.tar", tar_member("a.jpg", image) + tar_member("a.png", image) + tar_member("a.cls", "0"));
  EXPECT_THAT(error_of<RunError>([&] { make(); }), HasSubstr("sample a has two images, a.jpg and a.png"));
  write("train/0.tar", a + tar_member("a.cls", "1"));
  EXPECT_THAT(error_of<RunError>([&] { make(); }), HasSubstr("sample a has two classes"));
}

TEST_F(TarShards, RefusesANumberFarAboveTheOthers) {
  const std::string image = jpeg_file(ramp(8, 10, 3));
  const auto shard = [&](const std::string& label) {
    return tar_member("a.jpg", image) + tar_member("a.cls", "0") + tar_member("b.jpg", image) +
           tar_member("b.cls", label);
  };
  write("train/0.tar", shard("99999"));
  EXPECT_THAT(error_of<RunError>([&] { make(); }), AllOf(HasSubstr("0.tar: the sample of b.jpg has class 99999"),
                                                         HasSubstr("2 different classes"), HasSubstr("classes.txt")));
  write("train/0.tar", shard("5"));
  EXPECT_THAT(make()->class_counts(), ElementsAre(1, 0, 0, 0, 0, 1));
  write("train/0.tar", shard("999"));  // as with a few samples of ImageNet
  EXPECT_EQ(make()->class_names().size(), 1000u);
}

TEST_F(TarShards, NamesWhatIsWrong) {
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), HasSubstr("has no tar files in train"));
  write("train/0.tar", tar_member("a.jpg", "x") + tar_member("b.txt", "x"));
  EXPECT_THAT(error_of<UsageError>([&] { make(); }),
              AllOf(HasSubstr("holds no samples"), HasSubstr("left out: sample without a class (.cls): 1"),
                    HasSubstr("a.jpg")));
  dir_.write("train/0.tar", std::string(2000, 'x'));
  EXPECT_THAT(error_of<RunError>([&] { make(); }), HasSubstr("is not a tar file (compressed?)"));
  std::filesystem::remove(dir_ / "train/0.tar");
  std::filesystem::create_directory(dir_ / "train/0.tar");
  EXPECT_THAT(error_of<RunError>([&] { make(); }), AllOf(HasSubstr("0.tar"), HasSubstr("a folder")));
}

TEST_F(TarShards, NamesTheSampleThatIsCutOffWhileItIsRead) {
  const std::string image = jpeg_file(ramp(80, 100, 3));
  write("train/0.tar",
        tar_member("a.jpg", image) + tar_member("a.cls", "0") + tar_member("b.jpg", image) + tar_member("b.cls", "0"));
  const auto train = make();
  std::filesystem::resize_file(dir_ / "train/0.tar", 512 + image.size() + 600);
  std::vector<std::byte> out(train->fields()[0].bytes());
  EXPECT_EQ(read_field(*train, 0, out), 0);
  EXPECT_THAT(error_of<RunError>([&] { read_field(*train, 1, out); }),
              AllOf(HasSubstr("train/0.tar: b.jpg"), HasSubstr("cut off")));
}

TEST_F(TarShards, OpensMoreShardsThanTheSoftLimitOfFiles) {
  const std::string image = jpeg_file(ramp(8, 10, 3));
  for (int i = 0; i < 60; ++i) {
    write(fmt::format("train/{:02}.tar", i), tar_member("a.jpg", image) + tar_member("a.cls", "0"));
  }
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{32, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  const auto train = make();
  setrlimit(RLIMIT_NOFILE, &before);
  std::vector<std::byte> out(train->fields()[0].bytes());
  EXPECT_EQ(read_field(*train, 59, out), 0);
}

}  // namespace
}  // namespace trainyard
