#include <algorithm>

#include <gmock/gmock.h>

#include "datasets/image_dataset.h"
#include "datasets/tar.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "util/error.h"
#include "util/random.h"
#include "util/system.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// A folder whose files are put into tar files by the system's tar.
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

  std::unique_ptr<Dataset> make(Split split = Split::train) const {
    DataConfig config;
    config.name = "tar_shards";
    config.root = dir_.path();
    return make_dataset(config, split);
  }

  TempDir dir_;
};

TEST_F(TarShards, GivesEachPictureWithItsClass) {
  make_small_set();
  const auto train = make();
  ASSERT_EQ(train->size(), 3u);
  EXPECT_THAT(train->class_names(), ElementsAre("0", "1", "2"));
  std::vector<std::byte> out(train->spec().bytes());
  EXPECT_EQ(train->get(0, out), 2);
  EXPECT_EQ(train->get(1, out), 0);
  EXPECT_EQ(out, ramp(8, 10, 3).pixels);
  EXPECT_EQ(train->get(2, out), 1);
  EXPECT_THAT(dynamic_cast<const ImageDataset&>(*train).name(2), HasSubstr("train/1.tar: x/c.JPEG"));
  EXPECT_THAT(make(Split::test)->class_names(), ElementsAre("0", "1", "2"));
}

TEST_F(TarShards, TakesNamesFromClassesTxt) {
  make_small_set();
  dir_.write("classes.txt", "cat\ndog\nbird\nfish\n");
  EXPECT_THAT(make()->class_names(), ElementsAre("cat", "dog", "bird", "fish"));
  dir_.write("classes.txt", "cat\ndog\n");
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), AllOf(HasSubstr("2 lines"), HasSubstr("class 2")));
}

TEST_F(TarShards, NamesWhatIsWrong) {
  EXPECT_THAT(error_of<UsageError>([&] { make(); }), HasSubstr("has no tar files in train"));
  tar("train/0.tar", {{"a.jpg", "x"}});
  EXPECT_THAT(error_of<RunError>([&] { make(); }), AllOf(HasSubstr("0.tar"), HasSubstr("sample a has no member .cls")));
  tar("train/0.tar", {{"a.jpg", "x"}, {"a.cls", "cat"}});
  EXPECT_THAT(error_of<RunError>([&] { make(); }), AllOf(HasSubstr("a.cls holds 'cat'"), HasSubstr("0 to 999999")));
  dir_.write("train/0.tar", std::string(2000, 'x'));
  EXPECT_THAT(error_of<RunError>([&] { make(); }), HasSubstr("is no tar file (compressed?)"));
}

TEST_F(TarShards, ReadsEveryFormatOfTar) {
  const std::string deep = std::string(90, 'd') + "/" + std::string(60, 'e') + "/name.txt";
  const std::string longer = std::string(200, 'f') + ".txt";
  for (const char* format : {"gnu", "pax", "posix"}) {
    tar("t.tar", {{deep, "one"}, {longer, "two"}, {"empty", ""}, {"c", std::string(5000, 'c')}}, format);
    const Mapping file = Mapping::read_only_file(dir_ / "t.tar", "test");
    const std::vector<TarMember> members = read_tar(file.bytes(), "t.tar");
    ASSERT_EQ(members.size(), 4u) << format;
    EXPECT_EQ(members[0].name, deep);
    EXPECT_EQ(members[1].name, longer);
    EXPECT_EQ(members[2].size, 0u);
    const auto text = [&](const TarMember& member) {
      return std::string(reinterpret_cast<const char*>(file.bytes().data()) + member.offset, member.size);
    };
    EXPECT_EQ(text(members[0]) + text(members[1]), "onetwo");
    EXPECT_EQ(text(members[3]), std::string(5000, 'c'));
  }
  tar("t.tar", {{deep, "one"}}, "ustar");
  EXPECT_EQ(read_tar(Mapping::read_only_file(dir_ / "t.tar", "test").bytes(), "t.tar")[0].name, deep);
}

// Checksums of headers are set right again, so that the parser behind them is reached.
TEST_F(TarShards, SurvivesAnyDamage) {
  tar("t.tar", {{std::string(200, 'f'), "one"}, {"b", "two"}, {"c", std::string(600, 'c')}});
  const std::string whole = read_text_file(dir_ / "t.tar", "test");
  RandomStream random(8);
  int refused = 0;
  for (int i = 0; i < 3'000; ++i) {
    std::string bytes = random.below(4) > 0 ? whole : whole.substr(0, random.below(whole.size()));
    if (bytes.empty()) continue;
    for (auto changes = random.below(4); changes > 0; --changes) {
      bytes[random.below(std::min<std::size_t>(bytes.size(), 4096))] = static_cast<char>(random.next());
    }
    for (std::size_t at = 0; at + 512 <= bytes.size(); at += 512) {
      unsigned sum = 0;
      for (std::size_t j = 0; j < 512; ++j) {
        sum += j >= 148 && j < 156 ? unsigned{' '} : static_cast<unsigned char>(bytes[at + j]);
      }
      if (sum > 8 * ' ') bytes.replace(at + 148, 8, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
    }
    try {
      const auto span = std::as_bytes(std::span(bytes));
      for (const TarMember& member : read_tar(span, "the/path")) {
        ASSERT_LE(member.offset, bytes.size());
        ASSERT_LE(member.size, bytes.size() - member.offset);
      }
    } catch (const RunError& error) {
      EXPECT_THAT(error.what(), HasSubstr("the/path"));
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace trainyard
