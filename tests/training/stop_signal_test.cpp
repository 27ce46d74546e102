#include "training/stop_signal.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace trainyard {
namespace {

TEST(StopSignal, FirstSignalIsNotedOnly) {
  const StopSignal stop_signal;
  EXPECT_EQ(StopSignal::received(), 0);
  raise(SIGTERM);
  EXPECT_EQ(StopSignal::received(), SIGTERM);
}

TEST(StopSignal, SecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        const StopSignal stop_signal;
        raise(SIGINT);
        raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(StopSignal, ARequestToSaveIsAnsweredOnceAndStopsNothing) {
  const StopSignal stop_signal;
  EXPECT_FALSE(StopSignal::take_save_request());
  for (int i = 0; i < 2; ++i) {
    raise(SIGUSR1);
    EXPECT_TRUE(StopSignal::take_save_request());
    EXPECT_FALSE(StopSignal::take_save_request());
  }
  EXPECT_EQ(StopSignal::received(), 0);
}

TEST(StopSignal, OneRunsSignalIsNotTheNexts) {
  {
    const StopSignal stop_signal;
    raise(SIGHUP);
    EXPECT_EQ(StopSignal::received(), SIGHUP);
  }
  EXPECT_EQ(StopSignal::received(), 0);
  const StopSignal next;
  EXPECT_EQ(StopSignal::received(), 0);
}

}  // namespace
}  // namespace trainyard
