#include "check/probe_process.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "check/facts_json.h"
#include "util/error.h"

namespace trainyard {
namespace {

using std::chrono::milliseconds;

std::vector<ProbeFacts> probes_of(const std::string& script, milliseconds limit = milliseconds(20'000)) {
  return ProbeProcess("cuda:0", {"/bin/sh", "-c", script}, limit).finish();
}

std::string line(const std::string& name) {
  return "echo 'starting " + name + "'; echo '" + probe_to_json({"cuda:0", name, "ok", "", 0.1, 0.001}).dump() + "'; ";
}

TEST(ProbeProcess, ReturnsTheProbesOfItsProcess) {
  const auto probes = probes_of(line("own kernel") + "echo a library chats; " + line("matmul"));
  ASSERT_EQ(probes.size(), 2u);
  EXPECT_EQ(probes[1].name, "matmul");
  EXPECT_EQ(probes[1].outcome, "ok");
}

TEST(ProbeProcess, ACrashIsAFindingThatNamesTheProbeAndTheSignal) {
  const auto probes = probes_of(line("own kernel") + "echo 'starting conv'; echo last words; kill -SEGV $$");
  ASSERT_EQ(probes.size(), 2u);
  EXPECT_EQ(probes[1].name, "conv");
  EXPECT_EQ(probes[1].outcome, "crashed");
  EXPECT_EQ(probes[1].message, "signal 11 (Segmentation fault): last words");
}

TEST(ProbeProcess, AnExitCodeIsACrash) {
  const auto probes = probes_of("echo 'unknown flag' >&2; exit 2");
  ASSERT_EQ(probes.size(), 1u);
  EXPECT_EQ(probes[0].outcome, "crashed");
  EXPECT_EQ(probes[0].message, "exit code 2: unknown flag");
}

TEST(ProbeProcess, AHangIsEndedAndNamed) {
  const auto probes = probes_of("echo 'starting matmul'; exec sleep 1000", milliseconds(300));
  ASSERT_EQ(probes.size(), 1u);
  EXPECT_EQ(probes[0].name, "matmul");
  EXPECT_EQ(probes[0].outcome, "hung");
  EXPECT_EQ(probes[0].message, "no answer within 0.3 s");
}

TEST(ProbeProcess, SilenceIsACrash) { EXPECT_EQ(probes_of("exit 0").at(0).outcome, "crashed"); }

TEST(ProbeProcess, AMissingProgramIsAnError) {
  EXPECT_THROW(ProbeProcess("cuda:0", {"/no/such/program"}, milliseconds(1000)), RunError);
}

}  // namespace
}  // namespace trainyard
