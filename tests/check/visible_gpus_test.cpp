#include "check/visible_gpus.h"

#include <cerrno>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/refuse_calls.h"

namespace trainyard {
namespace {

TEST(VisibleGpus, ChildThatCannotBeForkedIsAFailure) {
  VisibleGpus visible{.gpus = std::vector<DeviceFacts>(1), .failure = {}};
  std::thread([&] {
    refuse_threads_and_forks(EAGAIN);
    visible = visible_gpus();
  }).join();
  EXPECT_TRUE(visible.gpus.empty());
  ASSERT_TRUE(visible.failure.has_value());
  EXPECT_STREQ(visible.failure->outcome, "error");
  EXPECT_THAT(visible.failure->message, testing::StartsWith("fork: "));
}

}  // namespace
}  // namespace trainyard
