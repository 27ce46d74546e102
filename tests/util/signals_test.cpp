#include "util/signals.h"

#include <cstdlib>

#include <gtest/gtest.h>
#include <signal.h>

namespace trainyard {
namespace {

TEST(Signals, RequestToSaveDoesNotEndTheProcess) {
  EXPECT_EXIT(
      {
        hold_back_save_requests();
        raise(SIGUSR1);
        std::exit(7);
      },
      testing::ExitedWithCode(7), "");
}

TEST(Signals, EndAnOrdinaryProcessByTheirDefaultAction) {
  EXPECT_EXIT(
      {
        prepare_signals();
        raise(SIGTERM);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(Signals, IgnoredOnesAreKnown) {
  EXPECT_FALSE(is_ignored(SIGHUP));
  signal(SIGHUP, SIG_IGN);
  EXPECT_TRUE(is_ignored(SIGHUP));
  signal(SIGHUP, SIG_DFL);
}

}  // namespace
}  // namespace trainyard
