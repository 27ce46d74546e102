#include "check/check.h"

#include <cstdio>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "check/facts_json.h"
#include "check/gather.h"
#include "check/probe_process.h"
#include "check/probes.h"
#include "check/render.h"
#include "check/version.h"

namespace trainyard {
namespace {

TEST(Probes, AllPassOnTheCpu) {
  std::vector<std::string> started;
  std::vector<ProbeFacts> probes;
  run_probes("cpu", false,
             {[&](const std::string& name) { started.push_back(name); },
              [&](const ProbeFacts& probe) { probes.push_back(probe); }});
  ASSERT_EQ(probes.size(), 6u);
  for (std::size_t i = 0; i < probes.size(); ++i) {
    EXPECT_EQ(probes[i].name, started[i]);
    EXPECT_EQ(probes[i].outcome, "ok") << probes[i].name << ": " << probes[i].message;
    EXPECT_LT(probes[i].max_error, 0.02) << probes[i].name;
  }
}

TEST(Probes, AGpuThatIsNotThereGivesErrorsAndNoException) {
  std::vector<ProbeFacts> probes;
  run_probes("cuda:63", false, {[](const std::string&) {}, [&](const ProbeFacts& probe) { probes.push_back(probe); }});
  ASSERT_EQ(probes.size(), has_own_kernels() ? 10u : 9u);
  for (const ProbeFacts& probe : probes) {
    EXPECT_EQ(probe.outcome, "error") << probe.name;
    EXPECT_FALSE(probe.message.empty()) << probe.name;
  }
}

TEST(Probes, TheChildWritesALineBeforeAndAfterEach) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(run_probe_child({63}, false, file), 0);
  std::rewind(file);
  std::vector<std::string> lines;
  for (char line[4096]; std::fgets(line, sizeof line, file);) lines.emplace_back(line);
  std::fclose(file);
  ASSERT_EQ(lines.size(), has_own_kernels() ? 20u : 18u);
  EXPECT_TRUE(lines[0].starts_with("starting ")) << lines[0];
  EXPECT_EQ(probe_from_json(lines[1]).device, "cuda:63");
}

TEST(Probes, SeveralGpusThatAreNotThereGiveErrorsAndNoException) {
  std::vector<ProbeFacts> probes;
  run_group_probes({62, 63}, {[](const std::string&) {}, [&](const ProbeFacts& probe) { probes.push_back(probe); }});
  ASSERT_EQ(probes.size(), 5u) << "copies there and back, and three sizes of an all-reduce";
  for (const ProbeFacts& probe : probes) EXPECT_EQ(probe.outcome, "error") << probe.name;
}

TEST(GatherTorch, ReadsTheLibTorchInHand) {
  const TorchFacts torch = gather_torch();
  EXPECT_TRUE(torch.version.starts_with("2.")) << torch.version;
  // A LibTorch compiled with CUDA must be linked with it and know its GPU architectures.
  EXPECT_EQ(torch.cuda_linked, !torch.cuda_compiled.empty());
  // LibTorch before 2.12 lists them only if the driver reports a device.
  if (torch.version >= "2.12" || !torch.architectures.empty()) {
    EXPECT_EQ(torch.architectures.empty(), torch.cuda_compiled.empty());
  }
  EXPECT_EQ(torch.cudnn.empty(), torch.cuda_compiled.empty());
  EXPECT_EQ(torch.nccl.empty(), torch.cuda_compiled.empty());
  EXPECT_EQ(torch.cudnn_compiled, torch.cudnn) << "the package brings the library it was built with";
  EXPECT_EQ(torch.nccl_compiled, torch.nccl);
}

TEST(Check, OnTheCpuThisMachineIsReady) {
  Needs needs;
  needs.device = "cpu";
  const CheckResult result = run_check(needs);
  EXPECT_EQ(exit_code(result), ExitCode::done) << render_full(result);
  EXPECT_TRUE(verdict(result).starts_with("ready: cpu, "));
}

TEST(Check, FactsGatheredHereReadBack) {
  const CheckResult result = run_check(Needs{}, {.full = false, .program = "/bin/false"});
  EXPECT_EQ(facts_to_json(recorded_from_json(facts_to_json(result.facts).dump()).facts), facts_to_json(result.facts));
}

TEST(Check, ABadDeviceIsAUsageError) {
  Needs needs;
  needs.device = "gpu";
  EXPECT_THROW(run_check(needs), UsageError);
}

TEST(Version, NamesWhatItWasBuiltWith) {
  const std::string text = version_text();
  for (const char* word : {"trainyard ", "LibTorch 2.", "CUDA ", "cuDNN ", "NCCL ", "compiler ", "architectures "}) {
    EXPECT_NE(text.find(word), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace trainyard
