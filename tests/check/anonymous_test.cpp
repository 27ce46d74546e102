#include "check/anonymous.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(Anonymous, NamesOfPeopleAndCardsAreLeftOut) {
  setenv("HOME", "/home/ann", 1);
  EXPECT_EQ(anonymous("/home/ann/lib:/home/anna/x y"), "~/lib:/home/*/x y");
  EXPECT_EQ(anonymous("GPU-1234-ab,MIG-77"), "GPU-*,MIG-*");
  EXPECT_EQ(anonymous("two\nlines\033"), "two\\nlines\\x1b");
  setenv("HOME", "/srv/people/ann", 1);
  EXPECT_EQ(anonymous("/srv/people/ann:/srv/people/anna"), "~:/srv/people/anna");
}

}  // namespace
}  // namespace trainyard
