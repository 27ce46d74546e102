#include "loader/striped_file.h"

#include <algorithm>
#include <cstring>

#include <fcntl.h>
#include <gtest/gtest.h>

#include "support/tmpfs.h"
#include "util/file_system.h"

namespace trainyard {
namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

// Returns the file as another process receives it.
StripedFile received(const StripedFile& file) {
  std::vector<UniqueFd> files;
  for (const int each : file.descriptors()) files.emplace_back(fcntl(each, F_DUPFD_CLOEXEC, 0));
  return StripedFile(std::move(files));
}

class StripedFileOf : public testing::TestWithParam<std::size_t> {};

TEST_P(StripedFileOf, AllMappingsSeeTheSameBytesAtTheSameOffsets) {
  const std::size_t bytes = GetParam();
  const StripedFile file("/dev/shm", bytes);
  EXPECT_LE(file.descriptors().size(), 16u);
  const Mapping here = file.map();
  const Mapping there = received(file).map();
  ASSERT_EQ(here.bytes().size(), bytes);
  ASSERT_EQ(there.bytes().size(), bytes);
  // Each page holds its offset, so a page mapped twice or at a wrong place is detected.
  for (std::size_t at = 0; at < bytes; at += 4096) std::memcpy(&here.bytes()[at], &at, sizeof at);
  for (std::size_t at = 0; at < bytes; at += 4096) {
    ASSERT_EQ(std::memcmp(&there.bytes()[at], &at, sizeof at), 0) << at;
  }
  EXPECT_EQ(there.bytes().back(), std::byte{0});
}

INSTANTIATE_TEST_SUITE_P(Sizes, StripedFileOf,
                         testing::Values(4096, mebibyte - 4096, mebibyte, mebibyte + 4096, 16 * mebibyte,
                                         17 * mebibyte + 8192, 64 * mebibyte, 64 * mebibyte + 4096,
                                         150 * mebibyte - 4096));

TEST(StripedFile, ReservesWhatItIsAskedForAndNoMore) {
  const Tmpfs tmpfs(64 << 10);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  const StripedFile file(tmpfs.path(), 100 * mebibyte);
  EXPECT_EQ(free_bytes(tmpfs.path(), "test"), 64 * mebibyte);
  EXPECT_TRUE(file.reserve(4096, 40 * mebibyte));
  EXPECT_EQ(free_bytes(tmpfs.path(), "test"), 24 * mebibyte);
  const Mapping mapping = file.map();
  std::ranges::fill(mapping.bytes().subspan(4096, 40 * mebibyte), std::byte{1});
  EXPECT_EQ(free_bytes(tmpfs.path(), "test"), 24 * mebibyte);
}

TEST(StripedFile, SaysWhereThereIsNoRoom) {
  const Tmpfs tmpfs(8 << 10);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  const StripedFile file(tmpfs.path(), 32 * mebibyte);
  EXPECT_TRUE(file.reserve(0, 6 * mebibyte));
  EXPECT_FALSE(file.reserve(6 * mebibyte, 26 * mebibyte));
}

TEST(StripedFile, TakesNothingWhenItIsClosed) {
  const Tmpfs tmpfs(64 << 10);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  {
    const StripedFile file(tmpfs.path(), 32 * mebibyte);
    EXPECT_TRUE(file.reserve(0, 32 * mebibyte));
  }
  EXPECT_EQ(free_bytes(tmpfs.path(), "test"), 64 * mebibyte);
}

}  // namespace
}  // namespace trainyard
