#include "check/gather.h"

#include <cstdlib>

#include <gtest/gtest.h>
#include <unistd.h>

#include "check/facts_json.h"

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

TEST(Gather, AMissingFolderOfSharedMemoryIsSaid) {
  const SharedMemoryFacts memory = gather_shared_memory("/no/such/folder", 1 << 20);
  EXPECT_EQ(memory.size, 0u);
  EXPECT_EQ(memory.error, "No such file or directory");
}

TEST(Gather, AFolderOfRunsMayBeMadeAFolderOfDataMustBeThere) {
  Needs needs;
  needs.run_dir = "/tmp/not/there/yet";
  needs.data_root = "/tmp/not/there/yet";
  const auto folders = gather_folders(needs);
  ASSERT_EQ(folders.size(), 2u);
  EXPECT_TRUE(folders[0].usable);
  EXPECT_FALSE(folders[0].exists);
  EXPECT_GT(folders[0].free, 0u);
  EXPECT_FALSE(folders[1].usable);
  needs.run_dir = "/proc/runs";
  EXPECT_FALSE(gather_folders(needs)[0].usable && geteuid() != 0);
}

TEST(Gather, NamesOfPeopleAndCardsAreLeftOut) {
  setenv("HOME", "/home/ann", 1);
  EXPECT_EQ(anonymous("/home/ann/lib:/home/anna/x y"), "~/lib:/home/*/x y");
  EXPECT_EQ(anonymous("GPU-1234-ab,MIG-77"), "GPU-*,MIG-*");
  EXPECT_EQ(anonymous("two\nlines\033"), "two lines ");
  setenv("HOME", "/srv/people/ann", 1);
  EXPECT_EQ(anonymous("/srv/people/ann:/srv/people/anna"), "~:/srv/people/anna");
}

}  // namespace
}  // namespace trainyard
