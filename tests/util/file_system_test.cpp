#include "util/file_system.h"

#include <gtest/gtest.h>

#include "support/error_of.h"
#include "support/tmpfs.h"
#include "util/error.h"

namespace trainyard {
namespace {

TEST(FileSystemSpace, IsWhatTheMountGives) {
  const Tmpfs tmpfs(64);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  const auto space = space_at(tmpfs.path());
  ASSERT_TRUE(space);
  EXPECT_EQ(space->size, 65536u);
  EXPECT_EQ(space->free, 65536u);
  EXPECT_FALSE(space->read_only);
}

TEST(FileSystemSpace, ATmpfsWithoutALimitEndsWhereTheMemoryDoes) {
  const Tmpfs tmpfs(0);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  const auto space = space_at(tmpfs.path());
  ASSERT_TRUE(space);
  EXPECT_EQ(space->size, meminfo("MemTotal:"));
  EXPECT_GT(space->free, 0u);
  EXPECT_LT(space->free, space->size);
}

TEST(FileSystemSpace, WhereNothingCanBeWrittenThereIsNone) { EXPECT_EQ(free_bytes("/proc", "test"), 0u); }

TEST(FileSystemSpace, AMissingPathIsNamed) {
  EXPECT_FALSE(space_at("/no/such/folder"));
  EXPECT_EQ(error_of<RunError>([] { free_bytes("/no/such/folder", "test"); }),
            "[test] statfs (/no/such/folder): No such file or directory; check the path");
}

}  // namespace
}  // namespace trainyard
