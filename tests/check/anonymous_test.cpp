#include "check/anonymous.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(Anonymous, NamesOfPeopleAndCardsAreLeftOut) {
  setenv("HOME", "/home/ann", 1);
  EXPECT_EQ(anonymous("/home/ann/lib:/home/anna/x y"), "~/lib:/home/*/x y");
  EXPECT_EQ(anonymous("GPU-1234-ab,MIG-77"), "GPU-*,MIG-*");
  EXPECT_EQ(anonymous("two\nlines"), "two\\nlines");
  setenv("HOME", "/srv/people/ann", 1);
  EXPECT_EQ(anonymous("/srv/people/ann:/srv/people/anna"), "~:/srv/people/anna");
}

TEST(Anonymous, NothingSteersTheTerminalAndAllIsUtf8) {
  EXPECT_EQ(anonymous("a\033[2J\xff"), "a\\x1b[2J\\xff");
  EXPECT_EQ(anonymous("caf\xc3\xa9 \xf0\x9d\x84\x9e"), "caf\xc3\xa9 \xf0\x9d\x84\x9e");
}

TEST(Anonymous, LongTextsStayWithinWhatTheFactsHold) {
  EXPECT_LE(anonymous(std::string(200'000, 'x')).size(), 64u << 10);
}

}  // namespace
}  // namespace trainyard
