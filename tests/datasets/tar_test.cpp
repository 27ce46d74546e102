#include "datasets/tar.h"

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "support/memory_file.h"
#include "support/subprocess.h"
#include "support/tar_file.h"
#include "support/temp_dir.h"
#include "util/error.h"
#include "util/random.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TarContents contents_of(const std::string& bytes) {
  return read_tar(memory_file(std::as_bytes(std::span(bytes))).get(), "the/path");
}

std::string refused(const std::string& bytes) {
  const std::string error = error_of<RunError>([&] { contents_of(bytes); });
  EXPECT_THAT(error, AllOf(HasSubstr("[tar]"), HasSubstr("the/path")));
  return error;
}

std::string text_of(const std::string& bytes, const TarMember& member) {
  return bytes.substr(member.offset, member.size);
}

/// Returns the file that the system's tar writes for these files.
std::string written_by_tar(const std::vector<std::pair<std::string, std::string>>& files,
                           const std::vector<std::string>& options) {
  const TempDir dir;
  std::vector<std::string> command{"tar", "-C", dir / "in", "-cf", dir / "t.tar"};
  command.insert(command.end(), options.begin(), options.end());
  for (const auto& [name, content] : files) {
    dir.write("in/" + name, content);
    command.push_back(name);
  }
  const Outcome outcome = run_program(command);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  return read_text_file(dir / "t.tar", "test");
}

const std::string two = tar_member("a", "one") + tar_member("b", "two");

TEST(Tar, ReadsEveryFormat) {
  const std::string deep = std::string(90, 'd') + "/" + std::string(60, 'e') + "/name.txt";
  const std::string longer = std::string(200, 'f') + ".txt";
  for (const char* format : {"gnu", "pax", "posix"}) {
    const std::string bytes = written_by_tar(
        {{deep, "one"}, {longer, "two"}, {"empty", ""}, {"c", std::string(5000, 'c')}}, {"--format", format});
    const std::vector<TarMember> members = contents_of(bytes).members;
    ASSERT_EQ(members.size(), 4u) << format;
    EXPECT_EQ(members[0].name, deep);
    EXPECT_EQ(members[1].name, longer);
    EXPECT_EQ(members[2].size, 0u);
    EXPECT_EQ(text_of(bytes, members[0]) + text_of(bytes, members[1]), "onetwo");
    EXPECT_EQ(text_of(bytes, members[3]), std::string(5000, 'c'));
  }
  EXPECT_EQ(contents_of(written_by_tar({{deep, "one"}}, {"--format", "ustar"})).members[0].name, deep);
}

TEST(Tar, RefusesEveryCutBeforeTheEndMarker) {
  for (std::size_t size = 0; size < two.size() + 512; ++size) {
    EXPECT_THAT(refused((two + tar_end()).substr(0, size)), HasSubstr(fmt::format("ends at byte {}", size)));
  }
  EXPECT_THAT(refused(two), AllOf(HasSubstr("is cut short"), HasSubstr("members may be missing")));
  EXPECT_THAT(refused(two.substr(0, two.size() - 7)), HasSubstr("within member b of 3 bytes"));
  EXPECT_THAT(refused(two.substr(0, 700)), HasSubstr("within member a of 3 bytes"));
  EXPECT_THAT(refused(two + std::string(100, '\0')), HasSubstr("within the header at byte 2048"));
}

TEST(Tar, AcceptsOneBlockOfZerosAndAnyPadding) {
  for (const std::size_t zeros : {512, 600, 1024, 10'240, 200'000}) {
    EXPECT_EQ(contents_of(two + std::string(zeros, '\0')).members.size(), 2u) << zeros;
  }
  EXPECT_TRUE(contents_of(tar_end()).members.empty());
}

TEST(Tar, RefusesDataAfterTheEndMarker) {
  const std::string whole = two + tar_end();
  EXPECT_THAT(refused(whole + whole), AllOf(HasSubstr("more data after the zeros"), HasSubstr("byte 3072")));
  EXPECT_THAT(refused(two + std::string(512, '\0') + two), HasSubstr("byte 2560"));
  EXPECT_THAT(refused(whole + std::string(100'000, '\0') + "x"), HasSubstr("byte 103072"));
}

TEST(Tar, HoldsWhatAppendAndConcatenateWrite) {
  const TempDir dir;
  dir.write("a", "one");
  dir.write("b", "two");
  const auto tar = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"tar", "-C", dir.path(), "-f"});
    const Outcome outcome = run_program(words);
    ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  };
  tar({dir / "1.tar", "-c", "a"});
  tar({dir / "2.tar", "-c", "b"});
  tar({dir / "1.tar", "--append", "b"});
  EXPECT_EQ(contents_of(read_text_file(dir / "1.tar", "test")).members.size(), 2u);
  tar({dir / "1.tar", "--concatenate", dir / "2.tar"});
  EXPECT_EQ(contents_of(read_text_file(dir / "1.tar", "test")).members.size(), 3u);
}

TEST(Tar, ValidatesNumbers) {
  const auto sized = [](std::string_view size) { return tar_header("a", '0', size) + tar_end(); };
  EXPECT_NO_THROW(contents_of(sized("        0")));
  EXPECT_NO_THROW(contents_of(sized(std::string_view("\x80\0\0\0\0\0\0\0\0\0\0\0", 12))));
  EXPECT_THAT(refused(sized("00000000o12")), HasSubstr("'00000000o12', which is not octal"));
  EXPECT_THAT(refused(sized("12 13")), HasSubstr("not octal"));
  EXPECT_THAT(refused(sized("99")), HasSubstr("not octal"));
  const std::string wraps("\x80\0\0\1\0\0\0\0\0\0\0\0", 12);   // 2^64
  const std::string half("\x80\0\0\0\x80\0\0\0\0\0\0\0", 12);  // 2^63
  const std::string negative("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
  for (const std::string& size : {wraps, half, negative}) EXPECT_THAT(refused(sized(size)), HasSubstr("out of range"));
  EXPECT_THAT(refused(sized(std::string("\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12))),
              HasSubstr("within member a of 9223372036854775807 bytes"));
}

TEST(Tar, ValidatesPaxHeaders) {
  const auto with = [](const std::string& key, const std::string& value) {
    return pax_header(key, value) + tar_member("a", "one") + tar_end();
  };
  EXPECT_EQ(contents_of(with("size", "2")).members[0].size, 2u);
  EXPECT_EQ(contents_of(with("comment", "1234junk")).members[0].size, 3u);
  for (const char* size : {"1234junk", "-1", "0x2", "9223372036854775808", " 2"}) {
    EXPECT_THAT(refused(with("size", size)), HasSubstr("damaged pax header")) << size;
  }
  EXPECT_THAT(refused(with("path", std::string("a\0b", 3))), HasSubstr("damaged pax header"));
  for (const char* records : {"9 path=a", "99 path=a\n", "path=a\n", "8 path a\n", "9 path=a\n4"}) {
    EXPECT_THAT(refused(tar_member("pax", records, 'x') + two + tar_end()), HasSubstr("damaged pax header")) << records;
  }
  EXPECT_THAT(refused(two + pax_header("path", "c") + tar_end()), HasSubstr("header without its member"));
}

TEST(Tar, AppliesGlobalPaxHeadersUntilTheyChange) {
  const std::string bytes = pax_header("path", "all", 'g') + two + pax_header("path", "own") + two +
                            pax_header("path", "", 'g') + two + pax_header("comment", "last", 'g') + tar_end();
  std::vector<std::string> names;
  for (const TarMember& member : contents_of(bytes).members) names.push_back(member.name);
  EXPECT_THAT(names, testing::ElementsAre("all", "all", "own", "all", "a", "b"));
}

TEST(Tar, RefusesMembersThatAreNotInOnePiece) {
  EXPECT_THAT(refused(tar_member("holes", "x", 'S') + tar_end()),
              AllOf(HasSubstr("sparse member holes"), HasSubstr("--sparse")));
  EXPECT_THAT(refused(pax_header("GNU.sparse.major", "1") + two + tar_end()), HasSubstr("sparse member a"));
  EXPECT_THAT(refused(tar_member("half", "x", 'M') + tar_end()), AllOf(HasSubstr("member half"), HasSubstr("volume")));
}

TEST(Tar, ResolvesHardLinksWithinTheFile) {
  const auto link = [](const char* name, const char* target) { return tar_header(name, '1', "00000000003", target); };
  const std::string bytes = link("early", "a") + two + link("c", "./a") + link("d", "c") + tar_member("a", "new") +
                            link("e", "a") + link("lost", "nowhere") + tar_end();
  const TarContents contents = contents_of(bytes);
  std::vector<std::pair<std::string, std::string>> found;
  for (const TarMember& member : contents.members) found.emplace_back(member.name, text_of(bytes, member));
  const std::vector<std::pair<std::string, std::string>> expected{{"a", "one"}, {"b", "two"}, {"c", "one"},
                                                                  {"d", "one"}, {"a", "new"}, {"e", "new"}};
  EXPECT_EQ(found, expected);
  ASSERT_EQ(contents.others.size(), 2u);
  EXPECT_EQ(contents.others[0].name, "early");
  EXPECT_EQ(contents.others[1].name, "lost");
  EXPECT_EQ(contents.others[1].kind, "hard link to no member before it");
}

TEST(Tar, ResolvesHardLinksWithLongNames) {
  const TempDir dir;
  const std::string name(150, 'n');
  dir.write(name, "content");
  std::filesystem::create_hard_link(dir / name, dir / "link");
  for (const char* format : {"gnu", "pax"}) {
    ASSERT_EQ(run_program({"tar", "-C", dir.path(), "--format", format, "-cf", dir / "t.tar", name, "link"}).exit_code,
              0);
    const std::vector<TarMember> members = contents_of(read_text_file(dir / "t.tar", "test")).members;
    ASSERT_EQ(members.size(), 2u);
    EXPECT_EQ(members[1].name, "link");
    EXPECT_EQ(members[1].offset, members[0].offset);
  }
}

TEST(Tar, ListsMembersThatAreNoFiles) {
  std::string bytes;
  for (const char type : {'2', '3', '4', '5', '6', 'D', 'V', 'Z'}) bytes += tar_header({&type, 1}, type, "0");
  bytes += tar_member("folder/", "");
  std::vector<std::string> found;
  for (const TarOther& other : contents_of(bytes + two + tar_end()).others) found.push_back(other.name + other.kind);
  EXPECT_THAT(found,
              testing::ElementsAre("2symbolic link", "3device", "4device", "6named pipe", "Zmember of unknown type Z"));
}

TEST(Tar, NamesWhatIsNoTarFile) {
  EXPECT_THAT(refused(std::string(2000, 'x')), HasSubstr("is not a tar file (compressed?)"));
  EXPECT_THAT(refused(two + std::string(512, 'x') + tar_end()), HasSubstr("a damaged header at byte 2048"));
  const TempDir dir;
  ASSERT_EQ(run_program({"mkfifo", dir / "pipe"}).exit_code, 0);
  EXPECT_THAT(error_of<RunError>([&] { read_tar(open_regular_file(dir / "pipe", "tar").get(), "pipe"); }),
              HasSubstr("a named pipe"));
}

// The checksums of headers are corrected, so that the damage reaches the parser.
TEST(Tar, SurvivesAnyDamage) {
  const std::string whole =
      written_by_tar({{std::string(200, 'f'), "one"}, {"b", "two"}, {"c", std::string(600, 'c')}}, {"--format", "gnu"});
  RandomStream random(8);
  int refusals = 0;
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
      for (const TarMember& member : contents_of(bytes).members) {
        ASSERT_LE(member.offset, bytes.size());
        ASSERT_LE(member.size, bytes.size() - member.offset);
      }
    } catch (const RunError& error) {
      EXPECT_THAT(error.what(), HasSubstr("the/path"));
      ++refusals;
    }
  }
  EXPECT_GT(refusals, 100);
}

}  // namespace
}  // namespace trainyard
