#include "training/stop_signal.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "util/signals.h"

namespace trainyard {
namespace {

TEST(StopSignal, FirstSignalBecomesARequest) {
  const StopSignal stop_signal;
  const StopToken token = stop_signal.token();
  EXPECT_FALSE(token.stop_requested());
  raise(SIGTERM);
  EXPECT_TRUE(token.stop_requested());
  EXPECT_EQ(token.signal(), SIGTERM);
}

TEST(StopSignal, SecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        const StopSignal stop_signal;
        raise(SIGINT);
        usleep(300'000);
        raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(StopSignal, SignalThatIsSentTwiceAtOnceIsOneRequest) {
  const StopSignal stop_signal;
  raise(SIGTERM);
  raise(SIGTERM);
  EXPECT_EQ(stop_signal.token().signal(), SIGTERM);
}

TEST(StopSignal, SaveRequestIsTakenOnceAndStopsNothing) {
  const StopSignal stop_signal;
  const StopToken token = stop_signal.token();
  EXPECT_FALSE(token.take_save_request());
  for (int i = 0; i < 2; ++i) {
    raise(SIGUSR1);
    EXPECT_TRUE(token.take_save_request());
    EXPECT_FALSE(token.take_save_request());
  }
  EXPECT_FALSE(token.stop_requested());
}

TEST(StopSignal, TakesASaveRequestThatWasHeldBackBeforeIt) {
  hold_back_save_requests();
  raise(SIGUSR1);
  {
    const StopSignal stop_signal;
    EXPECT_TRUE(stop_signal.token().take_save_request());
  }
  raise(SIGUSR1);  // held back again: it would end the process
  const StopSignal next;
  EXPECT_TRUE(next.token().take_save_request());
}

TEST(StopSignal, SignalThatTheCallerIgnoresRequestsNothing) {
  signal(SIGHUP, SIG_IGN);
  {
    const StopSignal stop_signal;
    raise(SIGHUP);
    EXPECT_FALSE(stop_signal.token().stop_requested());
    raise(SIGTERM);
    EXPECT_TRUE(stop_signal.token().stop_requested());
    raise(SIGHUP);
  }
  EXPECT_EQ(signal(SIGHUP, SIG_DFL), SIG_IGN);
}

TEST(StopSignal, NextRunDoesNotSeeTheLastOnesSignal) {
  {
    const StopSignal stop_signal;
    raise(SIGHUP);
    EXPECT_EQ(stop_signal.token().signal(), SIGHUP);
  }
  const StopSignal next;
  EXPECT_FALSE(next.token().stop_requested());
}

}  // namespace
}  // namespace trainyard
