#include "check/visible_gpus.h"

#include <cerrno>
#include <thread>

#include <gtest/gtest.h>

#include "support/refuse_calls.h"

namespace trainyard {
namespace {

TEST(VisibleGpus, AreNoneWhereNoChildCanBeForked) {
  std::vector<DeviceFacts> gpus(1);
  std::thread([&] {
    refuse_threads_and_forks(EAGAIN);
    gpus = visible_gpus();
  }).join();
  EXPECT_TRUE(gpus.empty());
}

}  // namespace
}  // namespace trainyard
