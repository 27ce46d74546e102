#include "check/gather.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/temp_dir.h"
#include "support/tmpfs.h"
#include "util/system.h"

namespace trainyard {
namespace {

TEST(Gather, TheHostHasCoresMemoryAndAKernel) {
  const HostFacts host = gather_host();
  EXPECT_GE(host.cores, 1);
  EXPECT_GE(host.logical_cores, host.cores);
  EXPECT_GT(host.memory, 0u);
  EXPECT_FALSE(host.kernel.empty());
  if (host.memory_limit) {
    EXPECT_LT(*host.memory_limit, host.memory);
  }
}

TEST(Gather, TheDriverAnswersOrSaysWhyNot) {
  DriverFacts driver;
  std::vector<DeviceFacts> devices;
  gather_driver(driver, devices);
  EXPECT_NE(driver.libcuda.empty(), driver.libcuda_error.empty());
  EXPECT_EQ(driver.init_code != 0, devices.empty());
}

TEST(Gather, SharedMemoryIsTakenAndGivenBack) {
  const SharedMemoryFacts before = gather_shared_memory("/tmp", 1 << 20);
  EXPECT_GT(before.size, 0u);
  EXPECT_EQ(before.tried, 1u << 20);
  EXPECT_EQ(before.writable, before.error.empty());
}

TEST(Gather, NamesOfHostAndUserOnlyWhenAskedFor) {
  EXPECT_TRUE(gather_host().name.empty() && gather_host().user.empty());
  EXPECT_FALSE(gather_host(true).name.empty());
  EXPECT_EQ(gather_host().uid, static_cast<int>(geteuid()));
  EXPECT_GT(gather_host().program_time, 0);
}

TEST(Gather, LibrariesOnTheSearchPathAreListedOnce) {
  const TempDir dir;
  dir.write("compat/libcuda.so.560.35.03", "");
  dir.write("other/libjpeg.so.62", "");
  std::filesystem::create_symlink("libcuda.so.560.35.03", dir / "compat/libcuda.so.1");
  const std::string path = (dir / "compat") + "::" + (dir / "compat") + ":/no/such/folder:" + (dir / "other");
  const auto libraries = gather_libraries(path);
  EXPECT_EQ(std::count_if(libraries.begin(), libraries.end(),
                          [](const LibraryFacts& each) { return each.name == "libcuda.so.560.35.03" && !each.loaded; }),
            1);
  for (const LibraryFacts& library : libraries) EXPECT_EQ(library.name.find("jpeg"), std::string::npos);
}

TEST(Gather, LimitsCountTheOpenDescriptors) {
  const int before = gather_limits().open_now;
  const UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(gather_limits().open_now, before + 1);
  EXPECT_GT(before, 0);
}

TEST(Gather, AFolderHasAnOwnerAndItsNewestEntry) {
  const TempDir dir;
  Needs needs;
  needs.run_dir = dir.path();
  EXPECT_EQ(gather_folders(needs)[0].newest, 0);
  dir.write("run/metrics.csv", "");
  const FolderFacts folder = gather_folders(needs)[0];
  EXPECT_GT(folder.newest, 1'700'000'000);
  EXPECT_EQ(folder.owner, static_cast<int>(geteuid()));
  EXPECT_EQ(folder.mode, "0700");
  EXPECT_FALSE(folder.read_only);
}

TEST(Gather, AFileInPlaceOfTheFolderOfRunsIsNamed) {
  const TempDir dir;
  dir.write("file", "");
  for (const char* const below : {"file", "file/runs/mine"}) {
    Needs needs;
    needs.run_dir = dir / below;
    const FolderFacts folder = gather_folders(needs)[0];
    EXPECT_FALSE(folder.usable);
    EXPECT_EQ(folder.error, dir / "file" + " is a file");
  }
}

TEST(Gather, WhyTheDatasetCannotBeReadComesAlong) {
  const auto folders = gather_folders(Needs{}, "[data.root] nothing in data/mnist");
  ASSERT_EQ(folders.size(), 1u);
  EXPECT_EQ(folders[0].error, "[data.root] nothing in data/mnist");
}

TEST(Gather, AMissingFolderOfSharedMemoryIsSaid) {
  const SharedMemoryFacts memory = gather_shared_memory("/no/such/folder", 1 << 20);
  EXPECT_EQ(memory.size, 0u);
  EXPECT_EQ(memory.error, "No such file or directory");
}

TEST(Gather, SharedMemoryWithoutALimitIsThere) {
  const Tmpfs tmpfs(0);
  if (!tmpfs.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  const SharedMemoryFacts memory = gather_shared_memory(tmpfs.path(), 1 << 20);
  EXPECT_GT(memory.size, 1u << 20);
  EXPECT_GT(memory.free, 1u << 20);
  EXPECT_TRUE(memory.writable);
  EXPECT_EQ(memory.error, "");
}

TEST(Gather, AFolderOfRunsMayBeMadeAFolderOfDataMustBeThere) {
  const TempDir dir;
  Needs needs;
  needs.run_dir = dir / "not/there/yet";
  needs.data_root = dir / "not/there/yet";
  const auto folders = gather_folders(needs);
  ASSERT_EQ(folders.size(), 2u);
  EXPECT_TRUE(folders[0].usable);
  EXPECT_FALSE(folders[0].exists);
  EXPECT_GT(folders[0].free, 0u);
  EXPECT_FALSE(folders[1].usable);
  EXPECT_EQ(folders[0].error, "");
  needs.run_dir = "/proc/runs";
  EXPECT_FALSE(gather_folders(needs)[0].usable && geteuid() != 0);
}

}  // namespace
}  // namespace trainyard
