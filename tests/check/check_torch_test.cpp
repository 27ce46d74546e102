#include "check/check.h"

#include <cstdlib>
#include <fstream>

#include <dlfcn.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "check/facts_json.h"
#include "check/gather.h"
#include "check/probes.h"
#include "check/render.h"
#include "check/version.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"

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
  const CheckResult result = run_check(Needs{});
  EXPECT_EQ(facts_to_json(recorded_from_json(facts_to_json(result.facts).dump()).facts), facts_to_json(result.facts));
}

// A check on this machine as it is, with a stand-in for libcuda that shows a GPU.
class CheckOnStandIn : public testing::Test {
 protected:
  CheckResult check(const std::vector<std::string>& environment) {
    std::vector<std::string> all = {std::string("LD_LIBRARY_PATH=") + TRAINYARD_STAND_IN_CUDA, "STAND_IN_GPUS=Card A",
                                    "STAND_IN_LOG=" + (dir_ / "log")};
    all.insert(all.end(), environment.begin(), environment.end());
    Subprocess program({TRAINYARD_BINARY, "check", "--json", "--data.name", "synthetic"}, all);
    pid_ = program.pid();
    return judge(recorded_from_json(program.wait().output).facts, Needs{});
  }

  struct Initialization {
    pid_t pid = 0;
    std::string connections;
  };

  std::vector<Initialization> initializations() const {
    std::ifstream log(dir_ / "log");
    std::vector<Initialization> all;
    for (Initialization one; log >> one.pid >> one.connections;) all.push_back(one);
    return all;
  }

  TempDir dir_;
  pid_t pid_ = 0;
};

TEST_F(CheckOnStandIn, InitializesTheDriverInOtherProcessesFirst) {
  const CheckResult result = check({});
  ASSERT_EQ(result.facts.devices.size(), 1u);
  EXPECT_EQ(result.facts.devices[0].name, "Card A");
  const std::vector<Initialization> initialized = initializations();
  ASSERT_FALSE(initialized.empty());
  EXPECT_NE(initialized[0].pid, pid_);
}

// What the driver reads when it is initialized must be set by then; the check shows only what the user has set.
TEST_F(CheckOnStandIn, TheDriverOfThisProcessIsInitializedWithQueuesForDecoding) {
  if (dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD) != nullptr) GTEST_SKIP() << "LibTorch has loaded a real driver";
  const auto pass = [](const std::vector<int>& devices, bool, const ProbeListener& listener) {
    listener.done({fmt::format("cuda:{}", devices[0]), "kernel", "ok", "", 0, 0});
  };
  const auto check_here = [&] {
    unsetenv("CUDA_DEVICE_MAX_CONNECTIONS");
    setenv("STAND_IN_GPUS", "Card A", 1);
    setenv("STAND_IN_LOG", (dir_ / "log").c_str(), 1);
    dlopen(TRAINYARD_STAND_IN_CUDA "/libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
    const CheckResult result = run_check({}, {.gpu_probes = pass});
    std::ofstream(dir_ / "pid") << getpid();
    _exit(static_cast<int>(result.facts.environment.count("CUDA_DEVICE_MAX_CONNECTIONS")));
  };
  EXPECT_EXIT(check_here(), testing::ExitedWithCode(0), "");
  pid_t checked = 0;
  std::ifstream(dir_ / "pid") >> checked;
  const std::vector<Initialization> initialized = initializations();
  ASSERT_FALSE(initialized.empty());
  EXPECT_EQ(initialized.back().pid, checked);
  EXPECT_EQ(initialized.back().connections, "32");
}

TEST_F(CheckOnStandIn, ACrashOfTheDriverIsAFinding) {
  const CheckResult result = check({"STAND_IN_CRASHES=1"});
  ASSERT_FALSE(result.findings.empty());
  EXPECT_EQ(result.findings[0].code, "driver-crashed");
  EXPECT_THAT(result.findings[0].what, testing::HasSubstr("signal 11"));
  EXPECT_TRUE(result.facts.devices.empty());
}

TEST(Check, ADriverThatHasFailedAlreadyIsNotAskedAgain) {
  const CheckResult result = run_check({}, {.driver_failure = ProcessFailure{"hung", "no answer within 60 s"}});
  EXPECT_TRUE(result.facts.torch.version.empty()) << "another process was started";
  ASSERT_FALSE(result.findings.empty());
  EXPECT_EQ(result.findings[0].code, "driver-hung");
  EXPECT_THAT(result.findings[0].what, testing::HasSubstr("no answer within 60 s"));
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
