#include "check/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "check/machines.h"
#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

Device resolved(const std::string& device, const Facts& facts) {
  Needs needs;
  needs.device = device;
  return resolve_device(needs, facts);
}

TEST(ResolveDevice, AutoTakesTheFirstUsableGpuElseTheCpu) {
  EXPECT_EQ(resolved("auto", machines::with_gpus(2)).name(), "cuda:0");
  EXPECT_EQ(resolved("auto", machines::cpu_only()).name(), "cpu");
  EXPECT_EQ(resolved("auto", machines::container_without_gpu()).name(), "cpu");
  Facts first_broken = machines::with_gpus(2);
  first_broken.probes[1].outcome = "crashed";
  EXPECT_EQ(resolved("auto", first_broken).name(), "cuda:1");
}

TEST(ResolveDevice, ANamedDeviceIsThatDevice) {
  EXPECT_EQ(resolved("cpu", machines::with_gpus(2)).name(), "cpu");
  EXPECT_EQ(resolved("cuda:1", machines::with_gpus(2)).name(), "cuda:1");
  EXPECT_EQ(resolved("cuda", machines::with_gpus(2)).name(), "cuda:0");
}

TEST(ResolveDevice, AGpuThatIsNotThereIsAMachineErrorWithItsRemedy) {
  EXPECT_THROW(resolved("cuda", machines::cpu_only()), MachineError);
  EXPECT_THROW(resolved("cuda:2", machines::with_gpus(2)), MachineError);
  try {
    resolved("cuda", machines::container_without_gpu());
    FAIL();
  } catch (const MachineError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("--gpus all"));
    EXPECT_THAT(error.what(), testing::HasSubstr("(container-without-gpu)"));
  }
}

TEST(ResolveDevice, AListIsItsFirstUsableGpu) {
  EXPECT_EQ(resolved("cuda:1,2", machines::with_gpus(3)).name(), "cuda:1");
  Facts broken = machines::with_gpus(3);
  for (ProbeFacts& probe : broken.probes) {
    if (probe.device == "cuda:1") probe.outcome = "crashed";
  }
  EXPECT_EQ(resolved("cuda:1,2", broken).name(), "cuda:2");
}

TEST(ResolveDevice, AnIndexOfAListThatIsNotThereIsNamed) {
  const std::string error = error_of<MachineError>([] { resolved("cuda:0,5", machines::with_gpus(2)); });
  EXPECT_THAT(error, testing::HasSubstr("there is no cuda:5, there are 2 GPUs: cuda:0 cuda:1"));
}

DeviceFacts gpu(int index, const std::string& name) {
  DeviceFacts device;
  device.index = index;
  device.name = name;
  return device;
}

TEST(SelectedGpus, AreAllOfTheFirstGpusModelOrThoseListed) {
  const std::vector<DeviceFacts> visible = {gpu(0, "H100"), gpu(1, "GT 1030"), gpu(2, "H100")};
  using Indices = std::vector<int>;
  EXPECT_EQ(selected_gpus("auto", visible), (Indices{0, 2}));
  EXPECT_EQ(selected_gpus("cuda", visible), (Indices{0, 2}));
  EXPECT_EQ(selected_gpus("cuda:1", visible), (Indices{1}));
  EXPECT_EQ(selected_gpus("cuda:2,1", visible), (Indices{2, 1}));
  EXPECT_EQ(selected_gpus("cuda:0,3", visible), Indices());
  EXPECT_EQ(selected_gpus("cpu", visible), Indices());
  std::vector<DeviceFacts> first_lost = visible;
  first_lost[0].error = "CUDA_ERROR_DEVICE_UNAVAILABLE";
  EXPECT_EQ(selected_gpus("auto", first_lost), (Indices{1}));
  EXPECT_EQ(selected_gpus("cuda:0,2", first_lost), (Indices{0, 2})) << "the rank on it says why it cannot be used";
  EXPECT_EQ(selected_gpus("auto", {}), Indices());
}

// Returns the device that a rank gets from `device`.
std::string narrowed(const std::string& device, int local_rank, int local_world_size, int gpus) {
  Needs needs;
  needs.device = device;
  needs.local_rank = local_rank;
  needs.local_world_size = local_world_size;
  return needs_of_local_rank(needs, machines::with_gpus(gpus).devices).device;
}

TEST(NeedsOfLocalRank, AreThoseOfItsOwnGpu) {
  EXPECT_EQ(narrowed("auto", 0, 2, 2), "cuda:0");
  EXPECT_EQ(narrowed("auto", 1, 2, 2), "cuda:1");
  EXPECT_EQ(narrowed("cuda", 1, 2, 4), "cuda:1");
  EXPECT_EQ(narrowed("cuda:0,3", 1, 2, 4), "cuda:3");
}

TEST(NeedsOfLocalRank, StayForAProcessAloneAndOnTheCpu) {
  EXPECT_EQ(narrowed("auto", 0, 1, 2), "auto");
  EXPECT_EQ(narrowed("cuda:0,1", 0, 1, 2), "cuda:0,1");
  EXPECT_EQ(narrowed("cpu", 1, 2, 2), "cpu");
  EXPECT_EQ(narrowed("auto", 1, 2, 0), "auto");
  EXPECT_EQ(narrowed("cuda:0,7", 1, 2, 2), "cuda:0,7");  // which the check refuses
}

TEST(NeedsOfLocalRank, FewerGpusThanProcessesIsAnErrorOfEach) {
  for (const int local_rank : {0, 1, 2}) {
    EXPECT_THAT(error_of<MachineError>([&] { narrowed("auto", local_rank, 3, 2); }),
                testing::HasSubstr("3 processes of this run are on this host, and train.device = auto means 2 of its"));
  }
}

TEST(ResolveDevice, OtherTextsAreUsageErrors) {
  for (const char* text : {"", "gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda:1 ", "cuda:99999999999", "cuda:1024",
                           "cuda:0,", "cuda:,0", "cuda:0,0", "cuda:0,cuda:1", "cuda:0 ,1"}) {
    EXPECT_THROW(resolved(text, machines::with_gpus(1)), UsageError) << text;
  }
}

}  // namespace
}  // namespace trainyard
