#include "commands/line_reader.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "support/error_of.h"
#include "support/memory_file.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> lines_in(std::string_view text, std::size_t longest = 100'000) {
  const UniqueFd file = memory_file(std::as_bytes(std::span(text)));
  lseek(file.get(), 0, SEEK_SET);
  LineReader reader(file.get(), "prompt", longest);
  std::vector<std::string> lines;
  while (const std::optional<std::string> line = reader.next()) lines.push_back(*line);
  return lines;
}

TEST(LineReader, ReturnsEachLineByteForByte) {
  using namespace std::string_view_literals;
  EXPECT_THAT(lines_in(""), ElementsAre());
  EXPECT_THAT(lines_in("dog \n\n\t\r\n\xff\0x\nend"sv), ElementsAre("dog ", "", "\t\r", "\xff\0x"sv, "end"));
  EXPECT_THAT(lines_in("\xef\xbb\xbf"
                       "a\n\n"),
              ElementsAre("\xef\xbb\xbf"
                          "a",
                          ""));
}

TEST(LineReader, ReadsALineLongerThanItsBuffer) {
  const std::string line(100'000, 'x');
  EXPECT_THAT(lines_in(line + "\n" + line), ElementsAre(line, line));
}

TEST(LineReader, RefusesALineThatIsTooLong) {
  EXPECT_THAT(lines_in("abc\n", 3), ElementsAre("abc"));
  EXPECT_THAT(error_of<RunError>([] { lines_in("abcd\n", 3); }),
              HasSubstr("a prompt on standard input is longer than 3 bytes: abcd"));
}

}  // namespace
}  // namespace trainyard
