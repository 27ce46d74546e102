#include "commands/image_names.h"

#include <filesystem>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/error_of.h"
#include "support/memory_file.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> names_in(std::string_view text) {
  const UniqueFd file = memory_file(std::as_bytes(std::span(text)));
  lseek(file.get(), 0, SEEK_SET);
  NameReader reader(file.get());
  std::vector<std::string> names;
  while (const std::optional<std::string> name = reader.next()) names.push_back(*name);
  return names;
}

TEST(NameReader, ReadsLinesAsPeopleWriteThem) {
  EXPECT_THAT(names_in(""), ElementsAre());
  EXPECT_THAT(names_in("a b.jpg\n\n c.jpg"), ElementsAre("a b.jpg", " c.jpg"));
  EXPECT_THAT(names_in("\xef\xbb\xbf"
                       "a.jpg\r\nb.jpg \t\r\n\r\n"),
              ElementsAre("a.jpg", "b.jpg"));
  EXPECT_THAT(names_in("\xff.jpg\n"), ElementsAre("\xff.jpg"));
}

TEST(NameReader, ReadsNamesThatEndWithZeroBytes) {
  using namespace std::string_view_literals;
  EXPECT_THAT(names_in("a\nb.jpg\0c.jpg \0\0d\r\0"sv), ElementsAre("a\nb.jpg", "c.jpg ", "d\r"));
  EXPECT_THAT(names_in("a.jpg\0b.jpg"sv), ElementsAre("a.jpg", "b.jpg"));
}

TEST(NameReader, ReadsMoreThanItsBufferHolds) {
  std::string text;
  for (int i = 0; i < 30'000; ++i) text += fmt::format("{}.jpg\n", i);
  const std::vector<std::string> names = names_in(text);
  ASSERT_EQ(names.size(), 30'000u);
  EXPECT_EQ(names.back(), "29999.jpg");
}

TEST(NameReader, ReturnsANameBeforeTheNextIsWritten) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd in(ends[0]);
  const UniqueFd out(ends[1]);
  NameReader reader(in.get());
  for (const std::string name : {"a.jpg", "b.jpg"}) {
    const std::string line = name + "\n";
    write_all(out.get(), std::as_bytes(std::span(line)), "test", "pipe");
    EXPECT_EQ(reader.next(), name);
  }
}

TEST(NameReader, SaysBeforeItMayWait) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd in(ends[0]);
  UniqueFd out(ends[1]);
  int reads = 0;
  NameReader reader(in.get(), [&] { ++reads; });
  write_all(out.get(), std::as_bytes(std::span(std::string_view("a\nb\n"))), "test", "pipe");
  out.reset();
  EXPECT_EQ(reader.next(), "a");
  EXPECT_EQ(reader.next(), "b");
  EXPECT_EQ(reads, 1);
  EXPECT_EQ(reader.next(), std::nullopt);
  EXPECT_EQ(reads, 2);
}

TEST(NameReader, RefusesEndlessEmptyNames) {
  const UniqueFd zeros(open("/dev/zero", O_RDONLY));
  EXPECT_THAT(error_of<RunError>([&] { NameReader(zeros.get()).next(); }), HasSubstr("1000000 empty names in a row"));
  EXPECT_THAT(error_of<RunError>([&] { names_in(std::string(2'000'000, '\n')); }), HasSubstr("empty names in a row"));
}

TEST(NameReader, NamesAnInputThatCannotBeRead) {
  EXPECT_THAT(error_of<RunError>([&] { names_in(std::string(1 << 20, 'x')); }), HasSubstr("longer than 4096 bytes"));
  const UniqueFd folder(open("/", O_RDONLY));
  EXPECT_THAT(error_of<RunError>([&] { NameReader(folder.get()).next(); }),
              AllOf(HasSubstr("standard input"), HasSubstr("Is a directory")));
}

TEST(ImagesBelow, PassesOverLitterAndFollowsLinksOnce) {
  const TempDir dir;
  for (const char* name : {"a/1.jpg", "a/2.PNG", "a/notes.txt", "a/._1.jpg", ".cache/3.jpg", "__MACOSX/4.jpg"}) {
    dir.write(name, "");
  }
  dir.write("elsewhere.d/5.jpeg", "");
  std::filesystem::create_symlink("..", dir / "a/circle");
  std::filesystem::create_symlink("../elsewhere.d", dir / "a/other.jpg");
  const ImagesBelow found = images_below(dir / "a");
  EXPECT_THAT(found.files, ElementsAre(dir / "a/1.jpg", dir / "a/2.PNG", dir / "a/circle/elsewhere.d/5.jpeg",
                                       dir / "a/other.jpg/5.jpeg"));
  EXPECT_TRUE(found.errors.empty());
}

TEST(ImagesBelow, ListsWhatCannotBeReadSoThatItIsReported) {
  const TempDir dir;
  dir.write("a.webp", "");
  std::filesystem::create_symlink("nowhere", dir / "b.jpg");
  ASSERT_EQ(mkfifo((dir / "c.jpg").c_str(), 0600), 0);
  EXPECT_THAT(images_below(dir.path()).files, ElementsAre(dir / "a.webp", dir / "b.jpg", dir / "c.jpg"));
}

TEST(ImagesBelow, NamesThePartThatCannotBeRead) {
  const TempDir dir;
  dir.write("a.jpg", "");
  dir.write("closed/b.jpg", "");
  dir.write("open/c.jpg", "");
  std::filesystem::permissions(dir.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(dir / "closed", std::filesystem::perms::none);
  const bool is_root = geteuid() == 0;
  ASSERT_EQ(is_root ? seteuid(65534) : 0, 0);
  const ImagesBelow found = images_below(dir.path());
  ASSERT_EQ(is_root ? seteuid(0) : 0, 0);
  std::filesystem::permissions(dir / "closed", std::filesystem::perms(0755));
  EXPECT_THAT(found.files, ElementsAre(dir / "a.jpg", dir / "open/c.jpg"));
  ASSERT_EQ(found.errors.size(), 1u);
  EXPECT_EQ(found.errors[0].first, dir / "closed");
  EXPECT_THAT(found.errors[0].second,
              AllOf(HasSubstr("[predict]"), HasSubstr("closed"), HasSubstr("Permission denied")));
}

}  // namespace
}  // namespace trainyard
