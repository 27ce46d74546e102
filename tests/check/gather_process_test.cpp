#include "check/gather_process.h"

#include <csignal>
#include <cstdio>

#include <gtest/gtest.h>
#include <unistd.h>

#include "check/machines.h"

namespace trainyard {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds ample{600'000};

TEST(GatherProcess, PassesOnTheFacts) {
  GatherProcess process(
      "test",
      [](Facts& facts) {
        std::fputs("a library chats\n", stderr);
        facts = machines::with_gpus(2);
      },
      ample);
  Facts facts;
  EXPECT_FALSE(process.read(facts).has_value());
  ASSERT_EQ(facts.devices.size(), 2u);
  EXPECT_EQ(facts.devices[1].index, 1);
}

TEST(GatherProcess, TextsThatCannotBeShownAreEscaped) {
  GatherProcess process("test", [](Facts& facts) { facts.driver.version = "5\n80\xff"; }, ample);
  Facts facts;
  EXPECT_FALSE(process.read(facts).has_value());
  EXPECT_EQ(facts.driver.version.find_first_of("\n\xff"), std::string::npos);
  EXPECT_NE(facts.driver.version, "");
}

TEST(GatherProcess, ACrashLeavesTheFactsAsTheyAre) {
  GatherProcess process("test", [](Facts&) { std::raise(SIGKILL); }, ample);
  Facts facts = machines::with_gpus(1);
  const auto failure = process.read(facts);
  ASSERT_TRUE(failure.has_value());
  EXPECT_STREQ(failure->outcome, "crashed");
  EXPECT_EQ(failure->message, "signal 9 (Killed)");
  EXPECT_EQ(facts.devices.size(), 1u);
}

TEST(GatherProcess, AHangIsEnded) {
  GatherProcess process(
      "test",
      [](Facts&) {
        for (;;) pause();
      },
      milliseconds(200));
  Facts facts;
  const auto failure = process.read(facts);
  ASSERT_TRUE(failure.has_value());
  EXPECT_STREQ(failure->outcome, "hung");
  EXPECT_EQ(failure->message, "no answer within 0.2 s");
}

}  // namespace
}  // namespace trainyard
