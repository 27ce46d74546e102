#include "util/printable.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(Printable, KeepsText) {
  EXPECT_EQ(printable("caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\x88.jpg"),
            "caf\xc3\xa9 \xe7\x8c\xab \xf0\x9f\x90\x88.jpg");
}

TEST(Printable, EscapesWhatWouldMoveTheCursor) {
  EXPECT_EQ(printable("a\x1b[2Jb\nc\td\re\x7f"), "a\\x1b[2Jb\\nc\\td\\re\\x7f");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "\\xc2\\x9b31m")
      << "C1: a control sequence in one character";
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "gpj.exe"),
            "\\xe2\\x80\\xaegpj.exe")
      << "right-to-left override";
}

TEST(Printable, EscapesBytesThatAreNotUtf8) {
  EXPECT_EQ(printable("caf\xe9"), "caf\\xe9");
  EXPECT_EQ(printable("\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80"), "\\xc0\\xaf\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80")
      << "overlong, surrogate, beyond the last code point";
}

TEST(Printable, CutsLongText) {
  EXPECT_EQ(printable("abcdef", 6), "abcdef");
  EXPECT_EQ(printable("abcdefg", 6), "abcdef... (7 bytes)");
  EXPECT_EQ(printable("abcd\xc3\xa9"
                      "f",
                      5),
            "abcd... (7 bytes)")
      << "never within a character";
}

TEST(PrintableLines, KeepsTheEndsOfLinesAlone) {
  EXPECT_EQ(printable_lines("a\x1b[2J\nb\tc\r\n\xff"), "a\\x1b[2J\nb\\tc\\r\n\\xff");
  EXPECT_EQ(printable_lines("ab\ncd", 4), "ab\nc... (5 bytes)");
}

TEST(Utf8, PrefixEndsAtTheFirstBadByte) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("\xe2\x82\xac"));
  EXPECT_EQ(valid_utf8_prefix("ab\xff"), 2u);
  EXPECT_EQ(valid_utf8_prefix("ab\xe2\x82"), 2u);
}

}  // namespace
}  // namespace trainyard
