// Checks a real GPU: all probes pass, and each deliberate fault gives its finding. Skipped without a GPU.

#include <algorithm>
#include <cstdio>
#include <functional>
#include <optional>
#include <vector>

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>

#include <cuda.h>
#include <cuda_runtime_api.h>

#include "check/check.h"
#include "check/gather.h"
#include "check/gather_process.h"
#include "check/probes.h"
#include "check/render.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"

namespace trainyard {

// test_kernel.cu: built for this GPU with a wrong constant, and built correctly but for compute capability 7.5 only.
std::string wrong_square_plus_one(int device, const std::vector<float>& x, std::vector<float>& y);
std::string foreign_square_plus_one(int device, const std::vector<float>& x, std::vector<float>& y);

namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

// Holds all free memory of the first GPU, except for the last 2 MiB.
class TakenMemory {
 public:
  TakenMemory() {
    for (std::size_t size = std::size_t{1} << 34; size >= std::size_t{1} << 21;) {
      void* memory = nullptr;
      if (cudaMalloc(&memory, size) == cudaSuccess) {
        parts_.push_back(memory);
      } else {
        cudaGetLastError();  // clears the error for later calls
        size /= 2;
      }
    }
  }
  ~TakenMemory() {
    for (void* part : parts_) cudaFree(part);
  }
  TakenMemory(const TakenMemory&) = delete;
  TakenMemory& operator=(const TakenMemory&) = delete;

 private:
  std::vector<void*> parts_;
};

/// Gathers facts in a process of their own: once this one has used CUDA, run_check() does not work in it.
Facts gathered(const std::function<void(Facts&)>& gather) {
  GatherProcess process("test", gather, std::chrono::minutes(2));
  Facts facts;
  const auto failure = process.read(facts);
  EXPECT_FALSE(failure.has_value()) << failure->message;
  return facts;
}

// Whether this process has initialized the driver. LibTorch's libraries may load it without doing so.
bool has_used_cuda() {
  void* const driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
  if (driver == nullptr) return false;
  const auto get_count = reinterpret_cast<CUresult (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
  int count = 0;
  return get_count != nullptr && get_count(&count) != CUDA_ERROR_NOT_INITIALIZED;
}

class GpuCheck : public testing::Test {
 protected:
  void SetUp() override {
    if (has_used_cuda()) GTEST_SKIP() << "another suite has used CUDA in this process: run it by itself, as ctest does";
    facts_ = gathered([](Facts& facts) {
      facts.torch = gather_torch();
      gather_driver(facts.driver, facts.devices);
      facts.host = gather_host();
    });
    if (facts_.devices.empty()) GTEST_SKIP() << "this machine has no GPU";
    needs_.device = "cuda:0";
    needs_.precision = "bf16";
  }

  CheckResult check(const CheckOptions& options = {}) const {
    return judge(gathered([&](Facts& facts) { facts = run_check(needs_, options).facts; }), needs_);
  }

  // Returns the code of the first finding if these are the only probes.
  std::string first_code(std::vector<ProbeFacts> probes) {
    facts_.probes = std::move(probes);
    const auto findings = diagnose(facts_, needs_);
    return findings.empty() ? "none" : findings[0].code;
  }

  // The probes, of which one ends with a signal as it starts.
  static GpuProbes probes_with(int signal, const std::string& name) {
    return [=](const std::vector<int>& devices, bool full, const ProbeListener& listener) {
      const auto starting = [&](const std::string& probe) {
        listener.starting(probe);
        if (probe == name) raise(signal);
      };
      run_gpu_probes(devices, full, {starting, listener.done});
    };
  }

  static const ProbeFacts& last_of(const CheckResult& result, const std::string& device) {
    return *std::find_if(result.facts.probes.rbegin(), result.facts.probes.rend(),
                         [&](const ProbeFacts& probe) { return probe.device == device; });
  }

  TempDir dir_;
  Facts facts_;
  Needs needs_;
};

TEST_F(GpuCheck, AllProbesPass) {
  needs_.device = "cuda";
  const CheckResult result = check({.full = true});
  std::printf("%s", render_full(result, {.verbose = true}).c_str());
  EXPECT_EQ(exit_code(result), ExitCode::done);
  const auto outcome = [&](const std::string& device, const std::string& name) {
    const auto probe = std::find_if(result.facts.probes.begin(), result.facts.probes.end(),
                                    [&](const auto& each) { return each.device == device && each.name == name; });
    return probe == result.facts.probes.end() ? std::string("missing") : probe->outcome + probe->message;
  };
  for (const ProbeFacts& probe : result.facts.probes) EXPECT_EQ(probe.outcome, "ok") << probe.device << probe.name;
  for (const DeviceFacts& device : result.facts.devices) {
    const std::string name = "cuda:" + std::to_string(device.index);
    for (const char* probe : {"own kernel", "elementwise fp32", "matmul fp16", "conv bf16", "copy", "copy pinned"}) {
      EXPECT_EQ(outcome(name, probe), "ok") << name << " " << probe;
    }
    EXPECT_THAT(outcome(name, "memory"), HasSubstr("GiB"));
  }
  if (result.facts.devices.size() > 1) {
    EXPECT_THAT(outcome("gpus", "copy 1>0"), HasSubstr("ok"));
    EXPECT_THAT(outcome("gpus", "all-reduce 25 MiB"), AnyOf("okP2P", "okSHM"));
  }
}

TEST_F(GpuCheck, TheDriverTellsOfEachCard) {
  for (const DeviceFacts& device : facts_.devices) {
    EXPECT_GE(device.major, 5);
    EXPECT_GT(device.memory, 0u);
    const auto card = std::find_if(facts_.driver.cards.begin(), facts_.driver.cards.end(),
                                   [&](const CardFacts& each) { return each.pci == device.pci; });
    ASSERT_NE(card, facts_.driver.cards.end()) << device.pci;
    EXPECT_GT(card->memory_free, 0u);
    EXPECT_FALSE(card->compute_mode.empty());
    EXPECT_TRUE(card->uuid.empty() && card->serial.empty()) << "names only when asked for";
  }
  DriverFacts named = gathered([](Facts& facts) { gather_nvml(facts.driver, true); }).driver;
  EXPECT_TRUE(named.cards.at(0).uuid.starts_with("GPU-"));
}

TEST_F(GpuCheck, AWrongKernelIsFound) {
  const auto probe_of = [](const SquarePlusOne& kernel) {
    return gathered([&](Facts& facts) { facts.probes = {probe_kernel(0, kernel)}; }).probes.at(0);
  };
  const ProbeFacts probe = probe_of(wrong_square_plus_one);
  EXPECT_EQ(probe.outcome, "wrong") << probe.message;
  EXPECT_EQ(first_code({probe}), "probe-wrong");
  EXPECT_EQ(probe_of(square_plus_one).outcome, "ok");
}

TEST_F(GpuCheck, AKernelForAnotherArchitectureOnlyIsFound) {
  if (facts_.devices[0].major == 7) GTEST_SKIP() << "the other architecture is this GPU's";
  const Facts facts = gathered([](Facts& found) { found.probes = {probe_kernel(0, foreign_square_plus_one)}; });
  const ProbeFacts& probe = facts.probes.at(0);
  EXPECT_EQ(probe.outcome, "error");
  EXPECT_THAT(probe.message, HasSubstr("no kernel image is available"));
  EXPECT_EQ(first_code({probe}), "own-kernels-missing");
}

TEST_F(GpuCheck, AChildThatIsKilledIsFound) {
  const CheckResult result = check({.gpu_probes = probes_with(SIGKILL, "matmul fp32")});
  const ProbeFacts probe = last_of(result, "cuda:0");
  EXPECT_EQ(probe.outcome, "crashed");
  EXPECT_EQ(probe.name, "matmul fp32");
  EXPECT_THAT(probe.message, HasSubstr("signal 9"));
  EXPECT_EQ(result.findings.at(0).code, "probe-crashed");
  EXPECT_EQ(exit_code(result), ExitCode::machine_not_fit);
}

TEST_F(GpuCheck, AChildThatHangsIsFoundWithinItsLimit) {
  const CheckResult result =
      check({.gpu_probes = probes_with(SIGSTOP, "matmul fp32"), .limit = std::chrono::seconds(12)});
  const ProbeFacts probe = last_of(result, "cuda:0");
  EXPECT_EQ(probe.outcome, "hung");
  EXPECT_EQ(probe.name, "matmul fp32");
  EXPECT_EQ(result.findings.at(0).code, "probe-hung");
}

TEST_F(GpuCheck, MemoryTakenAwayIsFoundWithWhoHoldsIt) {
  std::optional<TakenMemory> taken;
  GatherProcess other("test", [&](Facts&) { taken.emplace(); }, std::chrono::minutes(1));  // keeps it while it lives
  Facts none;
  ASSERT_FALSE(other.read(none).has_value());
  const CheckResult result = check();
  EXPECT_EQ(result.findings.at(0).code, "gpu-out-of-memory") << render_full(result);
  EXPECT_THAT(result.findings.at(0).what, HasSubstr("is out of memory"));
  EXPECT_EQ(exit_code(result), ExitCode::machine_not_fit);
}

TEST_F(GpuCheck, VisibleDevicesThatPointNowhereAreFound) {
  for (const char* nowhere : {"97", "", "-1", "GPU-00000000-0000-0000-0000-000000000000"}) {
    const Outcome outcome = run_program({TRAINYARD_BINARY, "check", "--json", "--train.device", "cuda"},
                                        {"CUDA_VISIBLE_DEVICES=" + std::string(nowhere)});
    EXPECT_EQ(outcome.exit_code, 3) << nowhere;
    const auto json = nlohmann::json::parse(outcome.output, nullptr, false);
    ASSERT_TRUE(json.is_object()) << outcome.output;
    EXPECT_EQ(json["findings"][0]["code"], "cuda-visible-devices") << nowhere;
  }
}

TEST_F(GpuCheck, TrainingThatRunsOutOfMemoryEndsWithTheRemedyAndTheCode) {
  const Outcome outcome = run_program({TRAINYARD_BINARY,
                                       "train",
                                       "--data.name",
                                       "synthetic",
                                       "--data.synthetic.shape",
                                       "512,512,3",
                                       "--data.synthetic.samples",
                                       "600",
                                       "--model.name",
                                       "resnet50",
                                       "--loader.batch_size",
                                       "512",
                                       "--loader.workers",
                                       "0",
                                       "--loader.prefetch",
                                       "1",
                                       "--train.device",
                                       "cuda:0",
                                       "--run.dir",
                                       dir_ / "runs"});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("is out of memory: "), HasSubstr(" asked for, "),
                    HasSubstr("--loader.batch_size 256 (it is 512)"), HasSubstr("(gpu-out-of-memory)\n")));
}

}  // namespace
}  // namespace trainyard
