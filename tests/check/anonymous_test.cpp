#include "check/anonymous.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(Anonymous, NamesOfPeopleAndCardsAreLeftOut) {
  setenv("HOME", "/home/ann", 1);
  EXPECT_EQ(anonymous("/home/ann/lib:/home/anna/x y"), "~/lib:/home/*/x y");
  EXPECT_EQ(anonymous("GPU-1234-ab,MIG-77"), "GPU-*,MIG-*");
  EXPECT_EQ(anonymous("two\nlines\033"), "two lines ");
  setenv("HOME", "/srv/people/ann", 1);
  EXPECT_EQ(anonymous("/srv/people/ann:/srv/people/anna"), "~:/srv/people/anna");
}

TEST(Printable, NothingSteersTheTerminalAndAllIsUtf8) {
  EXPECT_EQ(printable("a\tb\033[2J\x7f"), "a b [2J ");
  EXPECT_EQ(printable("caf\xc3\xa9 \xf0\x9d\x84\x9e"), "caf\xc3\xa9 \xf0\x9d\x84\x9e");
  EXPECT_EQ(printable("\xff"), "\xef\xbf\xbd");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\xc2\xa0"
            "2J");
}

}  // namespace
}  // namespace trainyard
