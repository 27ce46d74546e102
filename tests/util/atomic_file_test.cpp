#include "util/atomic_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint/test_folder.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  return names;
}

TEST(AtomicFile, WritesInPiecesWithSizeAndChecksumOfTheWhole) {
  const TestFolder folder;
  const FileDigest sum = write_file_atomically(folder / "f", [](FileWriter& file) {
    file.write("12345");
    file.write("");
    file.write("6789");
  });
  EXPECT_EQ(read_text(folder / "f"), "123456789");
  EXPECT_EQ(sum, (FileDigest{9, 0xcbf43926}));  // the check value of CRC-32
}

TEST(AtomicFile, ReplacesAFile) {
  const TestFolder folder;
  write_text(folder / "f", "old and longer");
  write_file_atomically(folder / "f", [](FileWriter& file) { file.write("new"); });
  EXPECT_EQ(read_text(folder / "f"), "new");
}

TEST(AtomicFile, KeepsTheOldFileAndLeavesNothingWhenFillingFails) {
  const TestFolder folder;
  write_text(folder / "f", "old");
  const auto fill = [](FileWriter& file) {
    file.write("half");
    throw RunError("test", "the source ended");
  };
  EXPECT_THROW(write_file_atomically(folder / "f", fill), RunError);
  EXPECT_EQ(read_text(folder / "f"), "old");
  EXPECT_THAT(names_in(folder.path()), testing::ElementsAre("f"));
}

TEST(AtomicFile, RemovesWhatDeadProcessesLeftOfAFile) {
  const TestFolder folder;
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  ASSERT_EQ(waitpid(dead, nullptr, 0), dead);
  const std::vector<std::string> kept = {"f",                                  // the file itself
                                         fmt::format(".tmp-f-{}", getpid()),   // of a process that still writes it
                                         fmt::format(".tmp-f-{}x", dead),      // not a temporary file
                                         fmt::format(".tmp-other-{}", dead)};  // of another file
  for (const std::string& name : kept) write_text(folder / name, "");
  write_text(folder / fmt::format(".tmp-f-{}", dead), "half");
  remove_leftovers(folder / "f");
  EXPECT_THAT(names_in(folder.path()), testing::UnorderedElementsAreArray(kept));
  remove_leftovers(folder.path() / "no" / "f");
}

TEST(AtomicFile, NamesAFolderThatIsMissing) {
  const TestFolder folder;
  const auto write = [&] { write_file_atomically(folder.path() / "no" / "f", [](FileWriter&) {}); };
  EXPECT_THAT(message_of<RunError>(write), testing::HasSubstr("No such file or directory"));
}

TEST(AtomicFile, ReplacesALinkAndOneThatPointsNowhere) {
  const TestFolder folder;
  write_text(folder / "a", "A");
  write_text(folder / "b", "B");
  replace_link_atomically(folder / "link", "gone");
  replace_link_atomically(folder / "link", "a");
  EXPECT_EQ(read_text(folder / "link"), "A");
  replace_link_atomically(folder / "link", "b");
  EXPECT_EQ(read_text(folder / "link"), "B");
  EXPECT_THAT(names_in(folder.path()), testing::UnorderedElementsAre("a", "b", "link"));
}

TEST(AtomicFile, MakesFoldersWithTheirParentsAndIsContentWhereTheyAre) {
  const TestFolder folder;
  for (int i = 0; i < 2; ++i) {
    make_folders(folder.path() / "a" / "b");
    EXPECT_TRUE(std::filesystem::is_directory(folder.path() / "a" / "b"));
  }
  write_text(folder / "file", "");
  EXPECT_THROW(make_folders(folder.path() / "file" / "b"), RunError);
}

TEST(AtomicFile, SumsUpMoreThanOneChunk) {
  const TestFolder folder;
  const std::string text(20'000'001, 'x');
  const FileDigest sum = write_file_atomically(folder / "f", [&](FileWriter& file) { file.write(text); });
  EXPECT_EQ(sum.bytes, text.size());
  EXPECT_EQ(sum.crc32, crc32_of(std::as_bytes(std::span(text))));
  EXPECT_EQ(read_text(folder / "f"), text);
}

TEST(Crc32, ContinuesWithMoreBytesAndWithNone) {
  const auto bytes = [](std::string_view text) { return std::as_bytes(std::span(text)); };
  const std::uint32_t begun = crc32_of(bytes("12345"));
  EXPECT_EQ(crc32_of({}, begun), begun);
  EXPECT_EQ(crc32_of(bytes("6789"), begun), crc32_of(bytes("123456789")));
}

}  // namespace
}  // namespace trainyard
