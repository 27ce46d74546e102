#include "check/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "check/machines.h"
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

TEST(ResolveDevice, OtherTextsAreUsageErrors) {
  for (const char* text :
       {"", "gpu", "CUDA", "cuda:", "cuda:x", "cuda:-1", "cuda:1 ", "cuda:99999999999", "cuda:1024"}) {
    EXPECT_THROW(resolved(text, machines::with_gpus(1)), UsageError) << text;
  }
}

}  // namespace
}  // namespace trainyard
