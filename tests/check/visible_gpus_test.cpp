#include "check/visible_gpus.h"

#include <cerrno>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/refuse_calls.h"

namespace trainyard {
namespace {

TEST(VisibleGpus, AreNoneWithAWarningWhereNoChildCanBeForked) {
  std::vector<DeviceFacts> gpus(1);
  testing::internal::CaptureStdout();
  std::thread([&] {
    refuse_threads_and_forks(EAGAIN);
    gpus = visible_gpus();
  }).join();
  EXPECT_TRUE(gpus.empty());
  EXPECT_THAT(testing::internal::GetCapturedStdout(), testing::HasSubstr("the GPUs cannot be counted: fork: "));
}

}  // namespace
}  // namespace trainyard
