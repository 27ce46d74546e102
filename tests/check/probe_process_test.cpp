#include "check/probe_process.h"

#include <cstdio>

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace trainyard {
namespace {

using std::chrono::milliseconds;
using Probes = std::function<void(const ProbeListener&)>;

std::vector<ProbeFacts> probes_of(const Probes& probes, milliseconds limit = milliseconds(600'000)) {
  return ProbeProcess("cuda:0", probes, limit).finish();
}

void pass(const ProbeListener& listener, const std::string& name) {
  listener.starting(name);
  listener.done({"cuda:0", name, "ok", "", 0.1, 0.001});
}

TEST(ProbeProcess, ReturnsTheProbesOfItsProcess) {
  const auto probes = probes_of([](const ProbeListener& listener) {
    pass(listener, "own kernel");
    std::puts("a library chats");
    std::fflush(stdout);
    pass(listener, "matmul");
  });
  ASSERT_EQ(probes.size(), 2u);
  EXPECT_EQ(probes[1].name, "matmul");
  EXPECT_EQ(probes[1].outcome, "ok");
}

TEST(ProbeProcess, ACrashIsAFindingThatNamesTheProbeAndTheSignal) {
  const auto probes = probes_of([](const ProbeListener& listener) {
    pass(listener, "own kernel");
    listener.starting("conv");
    std::fputs("last words\n", stderr);
    raise(SIGKILL);
  });
  ASSERT_EQ(probes.size(), 2u);
  EXPECT_EQ(probes[1].name, "conv");
  EXPECT_EQ(probes[1].outcome, "crashed");
  EXPECT_EQ(probes[1].message, "signal 9 (Killed): last words");
}

TEST(ProbeProcess, AHangIsEndedAndNamed) {
  const auto probes = probes_of(
      [](const ProbeListener& listener) {
        listener.starting("matmul");
        for (;;) pause();
      },
      milliseconds(300));
  ASSERT_EQ(probes.size(), 1u);
  EXPECT_EQ(probes[0].name, "matmul");
  EXPECT_EQ(probes[0].outcome, "hung");
  EXPECT_EQ(probes[0].message, "no answer within 0.3 s");
}

TEST(ProbeProcess, ACrashIsFoundWhereSigchldIsIgnored) {
  const auto before = signal(SIGCHLD, SIG_IGN);
  const auto probes = probes_of([](const ProbeListener& listener) {
    pass(listener, "own kernel");
    listener.starting("conv");
    raise(SIGKILL);
  });
  signal(SIGCHLD, before);
  ASSERT_EQ(probes.size(), 2u);
  EXPECT_EQ(probes[1].name, "conv");
  EXPECT_EQ(probes[1].outcome, "crashed");
}

TEST(ProbeProcess, SilenceIsACrash) {
  const auto probes = probes_of([](const ProbeListener&) {});
  EXPECT_EQ(probes.at(0).outcome, "crashed");
  EXPECT_EQ(probes.at(0).name, "start");
}

}  // namespace
}  // namespace trainyard
