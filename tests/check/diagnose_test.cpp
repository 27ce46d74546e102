#include "check/diagnose.h"

#include <algorithm>
#include <functional>
#include <set>

#include <gtest/gtest.h>

#include "check/architectures.h"
#include "check/facts_json.h"
#include "check/machines.h"
#include "check/render.h"
#include "util/random.h"
#include "util/system.h"

namespace trainyard {
namespace {

const char* no_device = "CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected";

Needs needs_of(const std::string& device) {
  Needs needs;
  needs.device = device;
  needs.precision = "bf16";
  needs.workers = 4;
  needs.shared_memory = 100 << 20;
  needs.memory = 4ull << 30;
  needs.run_dir = "runs";
  return needs;
}

struct Healthy {
  const char* name;
  Facts facts;
};

std::vector<Healthy> healthy() {
  return {{"cpu_only", machines::cpu_only()},
          {"one_gpu", machines::with_gpus(1)},
          {"eight_gpus", machines::with_gpus(8)},
          {"docker", machines::docker()},
          {"podman", machines::podman()},
          {"wsl2", machines::wsl2()},
          {"mig", machines::mig()}};
}

TEST(Diagnose, HealthyMachinesHaveNoFinding) {
  for (const auto& [name, facts] : healthy()) {
    const auto findings = diagnose(facts, needs_of("auto"));
    EXPECT_TRUE(findings.empty()) << name << ": " << findings[0].code << ": " << findings[0].what;
  }
}

TEST(Diagnose, ARecordedHealthyMachineHasNoFinding) {
  const std::string path = TRAINYARD_SOURCE_DIR "/tests/check/recorded/two_h100.json";
  const Recorded recorded = recorded_from_json(read_text_file(path, "test"));
  EXPECT_TRUE(diagnose(recorded.facts, recorded.needs.value()).empty());
  EXPECT_EQ(verdict(judge(recorded.facts, recorded.needs.value())), "ready: cuda:0 NVIDIA H100 80GB HBM3, fp32");
}

// A healthy machine, one fault, and the finding that must come first.
struct Fault {
  const char* code;
  Severity severity;
  const char* device;  ///< train.device
  Facts facts;
  Needs needs = {};
};

template <typename Change>
Facts changed(Facts facts, Change change) {
  change(facts);
  return facts;
}

// One GPU on which a probe failed in these words.
Facts with_words(const std::string& words) {
  return changed(machines::with_gpus(1), [&](Facts& f) {
    f.probes[2].outcome = "error";
    f.probes[2].message = words;
  });
}

ProbeFacts& group(Facts& facts, std::string_view name) {
  return *std::find_if(facts.probes.begin(), facts.probes.end(),
                       [&](const ProbeFacts& probe) { return probe.device == "gpus" && probe.name == name; });
}

std::vector<Fault> gpu_faults() {
  using machines::docker, machines::with_gpus, machines::without_devices, machines::wsl2, machines::mig;
  const auto w = Severity::warning;
  const auto e = Severity::error;
  return {
      {"no-gpu", e, "cuda", machines::cpu_only()},
      {"torch-cpu-only", w, "auto", changed(with_gpus(1), [](Facts& f) { f.torch.cuda_compiled = ""; })},
      {"cuda-not-linked", e, "cuda:0", changed(with_gpus(1), [](Facts& f) { f.torch.cuda_linked = false; })},
      {"nvidia-visible-devices", w, "auto",
       changed(machines::container_without_gpu(), [](Facts& f) { f.environment["NVIDIA_VISIBLE_DEVICES"] = "void"; })},
      {"container-without-gpu", w, "auto", machines::container_without_gpu()},
      {"container-without-gpu", e, "cuda", machines::container_without_gpu()},
      {"kernel-module-missing", w, "auto",
       changed(machines::cpu_only(), [](Facts& f) { f.host.nvidia_cards = {"0x2684"}; })},
      {"devices-revoked", e, "cuda",
       changed(without_devices(docker(), 100, no_device),
               [](Facts& f) {
                 f.driver.nvml_code = 999;
                 f.driver.nvml_error = "Unknown Error";
                 f.driver.cards.clear();
               })},
      {"devices-revoked", w, "auto",
       changed(without_devices(with_gpus(1), 100, no_device),
               [](Facts& f) { f.host.device_nodes[1].error = "Permission denied"; })},
      {"driver-library-mismatch", w, "auto",
       changed(without_devices(with_gpus(1), 803, "mismatch"),
               [](Facts& f) {
                 f.driver.nvml_code = 18;
                 f.driver.nvml_error = "Driver/library version mismatch";
               })},
      {"libcuda-stub", w, "auto", without_devices(with_gpus(1), 34, "CUDA_ERROR_STUB_LIBRARY")},
      {"libcuda-missing", w, "auto",
       changed(without_devices(docker(), -1, ""),
               [](Facts& f) {
                 f.driver.libcuda = "";
                 f.driver.libcuda_error = "libcuda.so.1: cannot open shared object file";
               })},
      {"cuda-803", e, "cuda", without_devices(with_gpus(1), 803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH")},
      {"cuda-804", e, "cuda", without_devices(with_gpus(1), 804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE")},
      {"fabric-manager", w, "auto", without_devices(with_gpus(8), 802, "CUDA_ERROR_SYSTEM_NOT_READY")},
      {"wsl-driver-mix", w, "auto", without_devices(wsl2(), 500, "CUDA_ERROR_NOT_FOUND: named symbol not found")},
      {"cuda-visible-devices", w, "auto",
       changed(without_devices(with_gpus(2), 100, no_device),
               [](Facts& f) { f.environment["CUDA_VISIBLE_DEVICES"] = "7"; })},
      {"mig-without-instance", e, "cuda",
       changed(without_devices(mig(), 100, no_device),
               [](Facts& f) {
                 f.environment.clear();
                 f.driver.cards[0].mig_instances = 0;
               })},
      {"mig-without-instance", w, "auto",
       changed(without_devices(mig(), 100, no_device), [](Facts& f) { f.environment.clear(); })},
      {"uvm-missing", w, "auto",
       changed(without_devices(docker(), 999, "CUDA_ERROR_UNKNOWN"),
               [](Facts& f) {
                 std::erase_if(f.host.device_nodes, [](const DeviceNode& node) { return node.name == "nvidia-uvm"; });
               })},
      {"driver-too-new", w, "auto",
       changed(without_devices(with_gpus(1, "Tesla P100", 6, 0), 100, no_device),
               [](Facts& f) {
                 f.host.nvidia_cards = {"0x15f8"};
                 f.host.kernel_module = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  590.48.01  Mon Dec  8";
                 f.driver.cards.clear();
               })},
      {"container-toolkit-missing", e, "cuda:0",
       with_words("could not select device driver \"\" with capabilities: [[gpu]]")},
      {"image-needs-newer-driver", e, "cuda:0",
       with_words("nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0")},
      {"address-space-limited", e, "cuda",
       changed(without_devices(with_gpus(1), 2, "CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
               [](Facts& f) { f.limits.address_space = 32ull << 30; })},
      {"cuda-unknown-error", w, "auto", without_devices(with_gpus(1), 999, "CUDA_ERROR_UNKNOWN: unknown error")},
      {"driver-too-old", e, "cuda:0",
       changed(with_gpus(1),
               [](Facts& f) {
                 f.driver.version = "550.54.14";
                 f.driver.cuda_version = 12'040;
               })},
      {"cuda-init-failed", w, "auto", without_devices(with_gpus(1), 46, "CUDA_ERROR_DEVICE_UNAVAILABLE")},
      {"gpu-not-visible", w, "auto", without_devices(with_gpus(1), 0, "")},
      {"device-index", e, "cuda:3", with_gpus(2)},
      {"gpu-too-old", w, "auto", with_gpus(1, "Tesla P100", 6, 0)},
      {"gpu-too-old", e, "cuda", with_gpus(1, "Tesla V100", 7, 0)},
      {"gpu-too-new", e, "cuda", with_gpus(1, "NVIDIA Next", 13, 0)},
      {"gpu-too-new", w, "auto",
       changed(with_gpus(1, "NVIDIA GeForce RTX 5090", 12, 0),
               [](Facts& f) { f.torch.architectures = {"sm_50", "sm_80", "sm_86", "sm_90"}; })},
      {"own-kernels-missing", e, "cuda",
       changed(with_gpus(1),
               [](Facts& f) {
                 f.torch.own_architectures = {"sm_86"};
                 f.probes[1] = {"cuda:0",
                                "own kernel",
                                "error",
                                "CUDA error 209: no kernel image is available for execution on "
                                "the device",
                                0,
                                0};
               })},
      {"gpu-exclusive", e, "cuda",
       changed(with_gpus(1),
               [](Facts& f) {
                 f.driver.cards[0].compute_mode = "exclusive_process";
                 f.driver.cards[0].processes = {{4711, "python", 20ull << 30}};
               })},
      {"gpu-exclusive", e, "cuda",
       changed(with_gpus(1), [](Facts& f) { f.driver.cards[0].compute_mode = "prohibited"; })},
      {"gpu-out-of-memory", w, "auto",
       changed(with_gpus(1),
               [](Facts& f) {
                 f.devices[0].memory_free = 100 << 20;
                 f.driver.cards[0].processes = {{4711, "python", 39ull << 30}, {4712, "", 100ull << 30}};
               })},
      {"library-error", e, "cuda",
       with_words("cuDNN version incompatibility: PyTorch was compiled against (9, 24, 0) but found 9.1.0")},
      {"device-assert", e, "cuda", with_words("CUDA error: device-side assert triggered")},
      {"illegal-access", e, "cuda", with_words("CUDA error: an illegal memory access was encountered")},
      {"gpu-lost", e, "cuda", with_words("CUDA error: unspecified launch failure")},
      {"gpu-lost", e, "cuda", with_words("CUDA error: uncorrectable ECC error encountered")},
      {"probe-crashed", e, "cuda", changed(with_gpus(1), [](Facts& f) { f.probes[2].outcome = "crashed"; })},
      {"probe-hung", e, "cuda", changed(with_gpus(1), [](Facts& f) { f.probes[2].outcome = "hung"; })},
      {"probe-wrong", e, "cuda", changed(with_gpus(1), [](Facts& f) { f.probes[2].outcome = "wrong"; })},
      {"probe-error", e, "cuda",
       changed(with_gpus(1),
               [](Facts& f) {
                 f.probes[2].outcome = "error";
                 f.probes[2].message = "CUDNN_STATUS_INTERNAL_ERROR";
               })},
      {"gpu-memory-held", w, "auto",
       changed(with_gpus(1),
               [](Facts& f) {
                 f.devices[0].memory_free = 30ull << 30;
                 f.driver.cards[0].processes = {{4711, "python", 110ull << 30}};
               })},
      {"ecc-errors", w, "auto", changed(with_gpus(1), [](Facts& f) { f.driver.cards[0].repair_pending = true; })},
      {"slow-link", w, "auto",
       changed(with_gpus(1), [](Facts& f) { f.probes.push_back({"cuda:0", "copy pinned", "ok", "", 0.4, 0, 0.9e9}); })},
      {"slow-link", Severity::note, "auto", changed(with_gpus(1), [](Facts& f) { f.driver.cards[0].pcie_width = 4; })},
      {"peer-copy-failed", w, "auto", changed(with_gpus(2), [](Facts& f) { group(f, "peer copy").outcome = "wrong"; })},
      {"all-reduce-failed", w, "cuda",
       changed(with_gpus(2), [](Facts& f) { group(f, "all-reduce").outcome = "hung"; })},
      {"gpu-group-failed", w, "auto",
       changed(with_gpus(2),
               [](Facts& f) {
                 std::erase_if(f.probes, [](const ProbeFacts& probe) { return probe.device == "gpus"; });
                 f.probes.push_back({"gpus", "start", "crashed", "exit code 1", 0, 0});
               })},
      {"no-peer-access", Severity::note, "auto",
       changed(with_gpus(2), [](Facts& f) { group(f, "peer copy").message = "no peer access: 0>1 1>0"; })},
      {"ecc-errors", w, "auto", changed(with_gpus(1), [](Facts& f) { f.driver.cards[0].ecc_uncorrected = 3; })},
      {"gpu-slowed", w, "cuda", changed(with_gpus(1), [](Facts& f) { f.driver.cards[0].slowed_by = {"thermal"}; })},
      {"persistence-off", Severity::note, "auto",
       changed(with_gpus(1), [](Facts& f) { f.driver.cards[0].persistence = false; })},
      {"precision-unsupported", w, "cuda", with_gpus(1, "Tesla T4", 7, 5)},
  };
}

std::vector<Fault> host_faults() {
  const auto w = Severity::warning;
  const auto e = Severity::error;
  const auto make = [](const char* code, Severity severity, auto change) {
    return Fault{code, severity, "auto", changed(machines::docker(), change)};
  };
  return {
      make("cpu-probe-failed", e, [](Facts& f) { f.probes[0].outcome = "wrong"; }),
      make("library-mismatch", w,
           [](Facts& f) {
             f.torch.cudnn = "9.1.0";
             f.libraries.push_back({"libcudnn.so.9", "/usr/lib/x86_64-linux-gnu/libcudnn.so.9.1.0", true});
           }),
      make("stray-libcuda", w, [](Facts& f) { f.driver.libcuda = "/usr/local/cuda-12.8/compat/libcuda.so.570.86.10"; }),
      make("shared-memory-missing", e, [](Facts& f) { f.shared_memory.size = f.shared_memory.free = 0; }),
      make("shared-memory-unwritable", e, [](Facts& f) { f.shared_memory.writable = false; }),
      make("shared-memory-small", e, [](Facts& f) { f.shared_memory.size = f.shared_memory.free = 64 << 20; }),
      make("shared-memory-refused", e, [](Facts& f) { f.shared_memory.error = "Cannot allocate memory"; }),
      make("run-dir-unwritable", e, [](Facts& f) { f.folders[0].usable = false; }),
      make("run-dir-unwritable", e,
           [](Facts& f) {
             f.folders[0].usable = false;
             f.folders[0].owner = 0;
           }),
      make("run-dir-unwritable", e,
           [](Facts& f) {
             f.folders[0].usable = f.folders[0].exists = false;
             f.folders[0].read_only = true;
           }),
      make("data-missing", w,
           [](Facts& f) {
             f.folders.emplace_back().purpose = "data";
             f.folders.back().error = "[data.root] Fashion-MNIST is not in data/fashion_mnist";
           }),
      make("disk-full", w, [](Facts& f) { f.folders[0].free = 1 << 20; }),
      make("memory-limit", w, [](Facts& f) { f.host.memory_limit = 4ull << 30; }),
      make("too-many-workers", w, [](Facts& f) { f.host.cores = 2; }),
      make("open-files-low", w, [](Facts& f) { f.limits.open_files = 256; }),
      make("clock-wrong", w, [](Facts& f) { f.host.clock = 86'400; }),
      make("clock-wrong", w, [](Facts& f) { f.host.clock = 9'000'000'000; }),
      make("clock-wrong", w, [](Facts& f) { f.host.program_time = f.host.clock + std::int64_t{864'000}; }),
      make("clock-wrong", w, [](Facts& f) { f.folders[0].newest = f.host.clock + std::int64_t{864'000}; }),
      make("processes-low", w, [](Facts& f) { f.host.processes_limit = 32; }),
      make("launch-blocking", w, [](Facts& f) { f.environment["CUDA_LAUNCH_BLOCKING"] = "1"; }),
  };
}

std::vector<Fault> all_faults() {
  auto faults = gpu_faults();
  for (Fault& fault : host_faults()) faults.push_back(std::move(fault));
  return faults;
}

TEST(Diagnose, EachFaultGivesItsFindingFirst) {
  for (const Fault& fault : all_faults()) {
    const auto findings = diagnose(fault.facts, needs_of(fault.device));
    ASSERT_FALSE(findings.empty()) << fault.code;
    EXPECT_EQ(findings[0].code, fault.code) << findings[0].what;
    EXPECT_EQ(findings[0].severity, fault.severity) << fault.code;
    EXPECT_FALSE(findings[0].what.empty() || findings[0].why.empty() || findings[0].remedy.empty()) << fault.code;
  }
}

TEST(Diagnose, OneFaultGivesOneFinding) {
  for (const Fault& fault : all_faults()) {
    // V100 and P100 lack bf16 too, as the T4 does.
    const auto findings = diagnose(fault.facts, [&] {
      Needs needs = needs_of(fault.device);
      if (std::string(fault.code) == "gpu-too-old") needs.precision = "fp32";
      return needs;
    }());
    EXPECT_EQ(findings.size(), 1u) << fault.code << ", then " << findings.back().code;
  }
}

TEST(Diagnose, EveryRuleHasAFaultInTheTable) {
  std::set<std::string> tested;
  for (const Fault& fault : all_faults()) tested.insert(fault.code);
  for (const std::string& code : finding_codes()) EXPECT_TRUE(tested.contains(code)) << code;
  EXPECT_EQ(tested.size(), finding_codes().size());
}

TEST(Diagnose, CodesAreUnique) {
  const auto codes = finding_codes();
  EXPECT_EQ(std::set<std::string>(codes.begin(), codes.end()).size(), codes.size());
}

TEST(Diagnose, TheTroubleshootingPageHasARowForEachCodeAndNoOther) {
  const std::string page = read_text_file(TRAINYARD_SOURCE_DIR "/docs/troubleshooting.md", "test");
  std::vector<std::string> rows;
  for (std::size_t start = page.find("\n| `"); start != std::string::npos; start = page.find("\n| `", start + 1)) {
    rows.push_back(page.substr(start + 4, page.find('`', start + 4) - start - 4));
  }
  EXPECT_EQ(rows, finding_codes());
}

TEST(Diagnose, ForTheCpuAGpuDoesNotMatter) {
  for (const Fault& fault : gpu_faults()) EXPECT_TRUE(diagnose(fault.facts, needs_of("cpu")).empty()) << fault.code;
}

TEST(Diagnose, ADatasetAskedForByNameMustBeThere) {
  Needs needs = needs_of("auto");
  needs.data_root = "/data";
  const Facts facts = changed(machines::docker(), [](Facts& f) {
    f.folders.emplace_back().purpose = "data";
    f.folders.back().path = "/data";
  });
  ASSERT_FALSE(diagnose(facts, needs).empty());
  EXPECT_EQ(diagnose(facts, needs)[0].code, "data-missing");
  EXPECT_EQ(diagnose(facts, needs)[0].severity, Severity::error);
}

TEST(Diagnose, SharedMemoryForFewerBatchesIsAWarning) {
  Needs needs = needs_of("auto");
  needs.shared_memory_least = 32 << 20;
  const Facts facts = changed(machines::docker(), [](Facts& f) { f.shared_memory.free = 64 << 20; });
  EXPECT_EQ(diagnose(facts, needs)[0].severity, Severity::warning);
  needs.shared_memory_least = 65 << 20;
  EXPECT_EQ(diagnose(facts, needs)[0].severity, Severity::error);
}

TEST(Diagnose, TheProcessesThatHoldMemoryAreNamed) {
  const Facts facts = changed(machines::with_gpus(1), [](Facts& f) {
    f.devices[0].memory_free = 1 << 20;
    f.driver.cards[0].processes = {
        {1, "small", 1ull << 30}, {2, "big", 8ull << 30}, {3, "", 0}, {4, "d", 4}, {5, "e", 5}, {6, "f", 6}};
  });
  const std::string why = diagnose(facts, needs_of("cuda"))[0].why;
  EXPECT_TRUE(why.starts_with("big 2 holds 8.0 GiB, small 1 holds 1.0 GiB")) << why;
  EXPECT_TRUE(why.ends_with(", and 1 more")) << why;
}

TEST(Diagnose, AnotherWorkingGpuMakesABrokenOneAWarning) {
  Facts facts = machines::with_gpus(2);
  facts.devices[0].major = 6;
  EXPECT_EQ(diagnose(facts, needs_of("cuda"))[0].severity, Severity::warning);
  EXPECT_EQ(diagnose(facts, needs_of("cuda:0"))[0].severity, Severity::error);
  EXPECT_TRUE(diagnose(facts, needs_of("cuda:1")).empty());
  EXPECT_EQ(usable_devices(facts, needs_of("auto")), std::vector<int>{1});
  EXPECT_EQ(diagnose(facts, needs_of("cuda"))[0].devices, std::vector<int>{0});
}

TEST(Diagnose, TheSameFindingOnSeveralGpusIsOneThatNamesThem) {
  const auto findings = diagnose(machines::with_gpus(3, "Tesla P100", 6, 0), [] {
    Needs needs = needs_of("auto");
    needs.precision = "fp32";
    return needs;
  }());
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_NE(findings[0].what.find("also cuda:1; also cuda:2"), std::string::npos) << findings[0].what;
}

// Word for word as CUDA, NVML, Docker and LibTorch say it, and the code of the rule that must answer.
struct Words {
  const char* message;
  const char* code;
};

constexpr Words symptoms[] = {
    {"could not select device driver \"\" with capabilities: [[gpu]]", "container-toolkit-missing"},
    {"nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0, please update your driver",
     "image-needs-newer-driver"},
    {"CUDA driver version is insufficient for CUDA runtime version", "driver-too-old"},
    {"CUDA error: no kernel image is available for execution on the device", "own-kernels-missing"},
    {"Error 803: system has unsupported display driver / cuda driver combination", "cuda-803"},
    {"Error 804: forward compatibility was attempted on non supported HW", "cuda-804"},
    {"Error 802: system not yet initialized", "fabric-manager"},
    {"Failed to initialize NVML: Unknown Error", "devices-revoked"},
    {"Failed to initialize NVML: Driver/library version mismatch", "driver-library-mismatch"},
    {"CUDA unknown error - this may be due to an incorrectly set up environment", "cuda-unknown-error"},
    {"Error 500: named symbol not found", "wsl-driver-mix"},
    {"CUDA error: all CUDA-capable devices are busy or unavailable", "gpu-exclusive"},
    {"CUDA out of memory. Tried to allocate 2.00 GiB", "gpu-out-of-memory"},
    {"CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "gpu-out-of-memory"},
    {"FIND was unable to find an engine to execute this computation after trying 12 engines", "gpu-out-of-memory"},
    {"cuDNN version incompatibility: PyTorch was compiled against (9, 24, 0)", "library-error"},
    {"CUDA error: device-side assert triggered", "device-assert"},
    {"CUDA error: an illegal memory access was encountered", "illegal-access"},
    {"CUDA error: unspecified launch failure", "gpu-lost"},
    {"CUDA error: the launch timed out and was terminated", "gpu-lost"},
    {"NCCL error in: ProcessGroupNCCL.cpp:3699, unhandled cuda error", "all-reduce-failed"},
    {"cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", "probe-error"},
};

TEST(ExplainError, EachSymptomHasItsRule) {
  // On the machine where it was seen, and, as from a message alone, on one of which nothing is known.
  for (const Facts& facts : {machines::with_gpus(1), Facts{}}) {
    for (const auto& [message, code] : symptoms) {
      const auto found = explain_error(facts, needs_of("cuda"), "cuda:0", message);
      ASSERT_TRUE(found.has_value()) << message;
      EXPECT_EQ(found->code, code) << message;
      EXPECT_TRUE(sentence(*found).ends_with(". To do: " + found->remedy + " (" + code + ")"));
    }
  }
}

TEST(ExplainError, ACardThatIsTooOldIsTheCauseOfAMissingKernel) {
  const auto found = explain_error(machines::with_gpus(1, "Tesla P100", 6, 0), needs_of("auto"), "cuda:0",
                                   "CUDA error: no kernel image is available for execution on the device");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->code, "gpu-too-old");
}

TEST(ExplainError, OtherErrorsAreNotTheDevices) {
  for (const char* message : {"mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", "", "bad allocation"}) {
    EXPECT_FALSE(explain_error(machines::with_gpus(1), needs_of("cuda"), "cuda:0", message)) << message;
  }
}

TEST(ExplainError, OutOfMemorySaysWhatWasAskedWhatIsFreeAndWhatToTurnDown) {
  Needs needs = needs_of("cuda");
  needs.precision = "fp32";
  needs.batch_size = 512;
  const auto found = explain_error(
      machines::with_gpus(1), needs, "cuda:0",
      "CUDA out of memory. Tried to allocate 12.25 GiB. GPU 0 has a total capacity of 79.19 GiB of which 1.50 GiB is "
      "free. Including non-PyTorch memory, this process has 77.68 GiB memory in use. Of the allocated memory 70.12 GiB "
      "is allocated by PyTorch, and 6.51 GiB is reserved by PyTorch but unallocated. If reserved but unallocated "
      "memory "
      "is large try setting PYTORCH_ALLOC_CONF=expandable_segments:True to avoid fragmentation.");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->what, "cuda:0 NVIDIA H200 is out of memory: 12.25 GiB asked for, 1.50 GiB free of 140.0 GiB");
  EXPECT_EQ(found->why, "this run asks for more than is free; this run holds 70.12 GiB, 6.51 GiB of it unused");
  EXPECT_TRUE(found->remedy.starts_with("use --loader.batch_size 256 (it is 512), --train.precision bf16"))
      << found->remedy;
  EXPECT_NE(found->remedy.find("expandable_segments"), std::string::npos);
}

TEST(Diagnose, ManyFaultsAtOnceNeverCrashAndAlwaysHaveARemedy) {
  // Random mixtures: each part of the facts from one of the broken machines.
  const auto faults = all_faults();
  RandomStream random(7);
  const auto any = [&]() -> const Facts& { return faults[random.below(faults.size())].facts; };
  for (int i = 0; i < 2000; ++i) {
    Facts facts;
    facts.host = any().host;
    facts.driver = any().driver;
    facts.torch = any().torch;
    facts.devices = any().devices;
    facts.shared_memory = any().shared_memory;
    facts.folders = any().folders;
    facts.environment = any().environment;
    facts.probes = any().probes;
    const char* devices[] = {"auto", "cpu", "cuda", "cuda:1"};
    const Needs needs = needs_of(devices[random.below(4)]);
    const auto findings = diagnose(facts, needs);
    for (std::size_t k = 0; k < findings.size(); ++k) {
      EXPECT_FALSE(findings[k].remedy.empty() || findings[k].what.empty()) << findings[k].code;
      if (k > 0) {
        EXPECT_LE(findings[k].severity, findings[k - 1].severity);
      }
    }
    // A GPU asked for by name either works or has an error that says why.
    if (needs.device.starts_with("cuda") && usable_devices(facts, needs).empty()) {
      ASSERT_FALSE(findings.empty());
      EXPECT_EQ(findings[0].severity, Severity::error);
    }
  }
}

}  // namespace
}  // namespace trainyard
