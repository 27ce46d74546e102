#include "util/size_text.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

TEST(SizeText, HasTheLargestUnitThatIsNotAboveIt) {
  EXPECT_EQ(size_text(0), "0 B");
  EXPECT_EQ(size_text(1023), "1023 B");
  EXPECT_EQ(size_text(1024), "1.0 KiB");
  EXPECT_EQ(size_text(3 << 19), "1.5 MiB");
  EXPECT_EQ(size_text(std::uint64_t{80} << 30), "80.0 GiB");
  EXPECT_EQ(size_text(~std::uint64_t{0}), "16.0 EiB");
}

}  // namespace
}  // namespace trainyard
