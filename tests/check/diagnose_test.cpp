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

// A healthy machine with one fault, and the code of the finding that must come first.
struct Fault {
  const char* code;
  Severity severity;
  const char* device;  ///< train.device
  Facts facts;
  Needs needs = needs_of("auto");
};

Needs threads(int number) {
  Needs needs = needs_of("auto");
  needs.threads = number;
  return needs;
}

Needs precision(const std::string& name) {
  Needs needs = needs_of("auto");
  needs.precision = name;
  return needs;
}

Needs on_two_hosts() {
  Needs needs = needs_of("auto");
  needs.world_size = 2;
  return needs;
}

template <typename Change>
Facts changed(Facts facts, Change change) {
  change(facts);
  return facts;
}

// A machine with a GPU whose driver could not be asked.
Facts failed_start(const std::string& outcome, const std::string& message) {
  Facts facts = machines::with_gpus(1);
  facts.torch = {};
  facts.driver = {};
  facts.devices.clear();
  facts.libraries.clear();
  facts.probes = {{"driver", "start", outcome, message, 0, 0}};
  return facts;
}

// One GPU on which a probe failed with this message.
Facts with_words(const std::string& words) {
  return changed(machines::with_gpus(1), [&](Facts& f) {
    f.probes[2].outcome = "error";
    f.probes[2].message = words;
  });
}

// A machine on which the container engine printed this message.
Facts with_engine_words(const std::string& words) {
  Facts facts = machines::with_gpus(1);
  facts.probes = {{"engine", "", "error", words, 0, 0}};
  return facts;
}

ProbeFacts& group(Facts& facts, std::string_view name) {
  return *std::find_if(facts.probes.begin(), facts.probes.end(),
                       [&](const ProbeFacts& probe) { return probe.device == "gpus" && probe.name == name; });
}

std::vector<Fault> gpu_faults() {
  using machines::docker, machines::unopened, machines::with_gpus, machines::without_devices, machines::wsl2,
      machines::mig;
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
      {"devices-revoked", e, "cuda",
       changed(without_devices(docker(), 100, no_device),
               [](Facts& f) { f.host.device_nodes[1].error = "Operation not permitted"; })},
      {"device-permission", w, "auto",
       changed(without_devices(with_gpus(1), 100, no_device),
               [](Facts& f) { f.host.device_nodes[1].error = "Permission denied"; })},
      {"device-permission", e, "cuda",
       changed(without_devices(machines::podman(), 100, no_device),
               [](Facts& f) {
                 f.driver.nvml_code = 4;
                 f.driver.nvml_error = "Insufficient Permissions";
                 f.driver.cards.clear();
               })},
      {"driver-library-mismatch", w, "auto",
       changed(without_devices(with_gpus(1), 803, "mismatch"),
               [](Facts& f) {
                 f.driver.nvml_code = 18;
                 f.driver.nvml_error = "Driver/library version mismatch";
               })},
      {"driver-not-asked", w, "auto", failed_start("error", "fork: Resource temporarily unavailable")},
      {"driver-crashed", w, "auto", failed_start("crashed", "signal 11 (Segmentation fault)")},
      {"driver-hung", e, "cuda", failed_start("hung", "no answer within 60 s")},
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
                 f.driver.version = "590.48.01";
                 f.driver.libcuda = "/usr/lib/x86_64-linux-gnu/libcuda.so.590.48.01";
                 f.driver.cards.clear();
               })},
      {"address-space-limited", e, "cuda",
       changed(without_devices(with_gpus(1), 2, "CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
               [](Facts& f) { f.limits.address_space = 32ull << 30; })},
      {"cuda-visible-devices", w, "auto",
       changed(without_devices(with_gpus(2), 101, "CUDA_ERROR_INVALID_DEVICE: invalid device ordinal"),
               [](Facts& f) { f.environment["CUDA_VISIBLE_DEVICES"] = "0,0"; })},
      {"cuda-visible-devices", e, "cuda",
       changed(without_devices(wsl2(), 100, no_device), [](Facts& f) { f.environment["CUDA_VISIBLE_DEVICES"] = ""; })},
      {"cuda-304", e, "cuda", without_devices(docker(), 304, "CUDA_ERROR_OPERATING_SYSTEM: OS call failed")},
      {"cuda-304", w, "auto", without_devices(with_gpus(1), 304, "CUDA_ERROR_OPERATING_SYSTEM: OS call failed")},
      {"visible-devices-cut", w, "auto",
       changed(with_gpus(1), [](Facts& f) { f.environment["CUDA_VISIBLE_DEVICES"] = "0,7,1"; })},
      {"fewer-gpus", w, "auto",
       changed(with_gpus(2),
               [](Facts& f) {
                 f.devices.pop_back();
                 std::erase_if(f.probes, [](const ProbeFacts& probe) { return probe.device != "cuda:0"; });
               })},
      {"fewer-gpus", w, "cuda:0", changed(docker(), [](Facts& f) { f.environment["NVIDIA_VISIBLE_DEVICES"] = "0,1"; })},
      {"one-connection", w, "auto",
       changed(with_gpus(1), [](Facts& f) { f.environment["CUDA_DEVICE_MAX_CONNECTIONS"] = "1"; })},
      {"memory-caching-off", w, "auto",
       changed(with_gpus(1), [](Facts& f) { f.environment["PYTORCH_NO_CUDA_MEMORY_CACHING"] = "0"; })},
      {"tf32-override", w, "auto", changed(with_gpus(1), [](Facts& f) { f.environment["NVIDIA_TF32_OVERRIDE"] = "0"; }),
       precision("tf32")},
      {"tf32-override", w, "auto", changed(with_gpus(1), [](Facts& f) { f.environment["NVIDIA_TF32_OVERRIDE"] = "1"; }),
       precision("fp32")},
      {"preloaded-library", w, "auto",
       changed(with_gpus(1), [](Facts& f) { f.environment["LD_PRELOAD"] = "/usr/lib/libtrace.so"; })},
      {"launch-blocking", w, "auto",
       changed(with_gpus(1), [](Facts& f) { f.environment["CUDA_LAUNCH_BLOCKING"] = "1"; })},
      {"no-kernel-image", e, "cuda",
       changed(with_words("CUDA error: no kernel image is available for execution on the device"),
               [](Facts& f) { f.torch.own_architectures.clear(); })},
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
      {"device-index", e, "cuda:0,3", with_gpus(2)},
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
      {"gpu-lost", e, "cuda", changed(with_gpus(1), [](Facts& f) { f.devices[0] = unopened(0); })},
      {"gpu-lost", w, "auto", changed(with_gpus(2), [](Facts& f) { f.devices[0] = unopened(0); })},
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
      {"peer-copy-failed", w, "auto", changed(with_gpus(2), [](Facts& f) { group(f, "copy 0>1").outcome = "wrong"; })},
      {"all-reduce-failed", w, "cuda",
       changed(with_gpus(2), [](Facts& f) { group(f, "all-reduce 256 MiB").outcome = "hung"; })},
      {"gpu-group-failed", w, "auto",
       changed(with_gpus(2),
               [](Facts& f) {
                 std::erase_if(f.probes, [](const ProbeFacts& probe) { return probe.device == "gpus"; });
                 f.probes.push_back({"gpus", "start", "crashed", "exit code 1", 0, 0});
               })},
      {"no-peer-access", Severity::note, "auto",
       changed(with_gpus(2), [](Facts& f) { group(f, "copy 0>1").message = "no peer access"; })},
      {"gpus-over-sockets", w, "auto",
       changed(with_gpus(2), [](Facts& f) { group(f, "all-reduce 256 MiB").message = "NET"; })},
      {"slow-all-reduce", w, "auto",
       changed(with_gpus(2), [](Facts& f) { group(f, "all-reduce 256 MiB").bytes_per_second = 12e9; })},
      {"no-infiniband", Severity::note, "auto", with_gpus(2), on_two_hosts()},
      {"own-kernels-left-out", w, "auto",
       changed(with_gpus(1), [](Facts& f) { f.torch.own_architectures = {"none"}; })},
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
      make("run-dir-unwritable", e,
           [](Facts& f) {
             f.folders[0].usable = f.folders[0].exists = false;
             f.folders[0].error = "runs is a file";
           }),
      make("saving-refused", e, [](Facts& f) { f.folders[0].error = "[checkpoint] symlink: not permitted"; }),
      make("data-missing", w,
           [](Facts& f) {
             f.folders.emplace_back().purpose = "data";
             f.folders.back().error = "[data.root] Fashion-MNIST is not in data/fashion_mnist";
           }),
      make("disk-full", w, [](Facts& f) { f.folders[0].free = 1 << 20; }),
      make("memory-limit", w, [](Facts& f) { f.host.memory_limit = 4ull << 30; }),
      make("too-many-workers", w, [](Facts& f) { f.host.cores = 2; }),
      {"too-many-threads", w, "auto", machines::docker(), threads(64)},
      make("open-files-low", w, [](Facts& f) { f.limits.open_files = 256; }),
      make("clock-wrong", w, [](Facts& f) { f.host.clock = 86'400; }),
      make("clock-wrong", w, [](Facts& f) { f.host.clock = 9'000'000'000; }),
      make("clock-wrong", w, [](Facts& f) { f.host.program_time = f.host.clock + std::int64_t{864'000}; }),
      make("clock-wrong", w, [](Facts& f) { f.folders[0].newest = f.host.clock + std::int64_t{864'000}; }),
      make("processes-low", w, [](Facts& f) { f.host.processes_limit = 32; }),
  };
}

// Whole lines as users paste them, and the code of the host rule that must match.
struct EngineLine {
  const char* code;
  const char* line;
};

// What Docker prints before the message of NVIDIA's toolkit.
#define BY_DOCKER                                                                                                     \
  "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime " \
  "create failed: runc create failed: unable to start container process: error during container init: error running " \
  "prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy'\n"

constexpr EngineLine engine_lines[] = {
    {"container-toolkit-missing",
     "docker: Error response from daemon: could not select device driver \"\" with capabilities: [[gpu]]."},
    {"container-toolkit-missing",
     "Error response from daemon: could not select device driver \"nvidia\" with capabilities: [[gpu]]"},
    {"container-toolkit-missing",
     "docker: Error response from daemon: could not select device driver \"cdi\" with capabilities: []."},
    {"container-toolkit-missing", "docker: Error response from daemon: unknown or invalid runtime name: nvidia."},
    {"container-toolkit-missing",
     "docker: Error response from daemon: exec: \"nvidia-container-runtime-hook\": executable file not found in "
     "$PATH."},
    {"image-needs-newer-driver", BY_DOCKER
     "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=13.0, please update your driver to "
     "a newer version, or use an earlier cuda container: unknown."},
    {"wsl-without-gpu", BY_DOCKER
     "nvidia-container-cli: initialization error: WSL environment detected but no adapters were found: unknown"},
    {"host-driver-missing",
     BY_DOCKER "nvidia-container-cli: initialization error: load library failed: libnvidia-ml.so.1: cannot open shared "
               "object file: no such file or directory: unknown."},
    {"host-driver-missing",
     "nvidia-container-cli: initialization error: load library failed: libcuda.so.1: cannot open shared object file"},
    {"host-driver-missing",
     BY_DOCKER "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown"},
    {"cdi-device-unknown", "Error: setting up CDI devices: unresolvable CDI devices nvidia.com/gpu=all"},
    {"cdi-device-unknown",
     "docker: Error response from daemon: CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all."},
    {"cdi-device-unknown",
     "docker: Error response from daemon: failed to create task for container: failed to create shim task: OCI runtime "
     "create failed: could not apply required modification to OCI specification: error modifying OCI spec: failed to "
     "inject CDI devices: unresolvable CDI devices runtime.nvidia.com/gpu=all: unknown"},
    {"cdi-device-unknown",
     "docker: Error response from daemon: failed to discover GPU vendor from CDI: no known GPU vendor found"},
    {"cdi-file-stale",
     "docker: Error response from daemon: failed to create task for container: OCI runtime create failed: runc create "
     "failed: unable to start container process: error during container init: error mounting "
     "\"/usr/lib/x86_64-linux-gnu/libcuda.so.570.86.10\" to rootfs: failed to fulfil mount request: open "
     "/usr/lib/x86_64-linux-gnu/libcuda.so.570.86.10: no such file or directory"},
    {"gpu-id-unknown", BY_DOCKER "nvidia-container-cli: device error: 1: unknown device: unknown."},
    {"gpu-id-unknown", BY_DOCKER "nvidia-container-cli: device error: unknown device id: 2: unknown."},
    {"cgroup-refused", BY_DOCKER
     "nvidia-container-cli: mount error: failed to add device rules: unable to find any existing device filters "
     "attached to the cgroup: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted: unknown."},
    {"cgroup-refused", BY_DOCKER "nvidia-container-cli: container error: cgroup subsystem devices not found: unknown."},
    {"cgroup-refused", "bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted"},
    {"image-has-driver-files",
     BY_DOCKER "nvidia-container-cli: mount error: file creation failed: /var/lib/docker/overlay2/5e7d/merged/usr/lib/"
               "x86_64-linux-gnu/libnvidia-ml.so.1: file exists: unknown."},
    {"proc-masked",
     BY_DOCKER "nvidia-container-cli: mount error: stat failed: /proc/driver/nvidia/gpus/cfdd:00:00.0: no such file or "
               "directory: unknown."},
    {"hook-refused",
     "Error response from daemon: OCI runtime create failed: stderr: Using requested mode 'cdi'\ninvoking the NVIDIA "
     "Container Runtime Hook directly (e.g. specifying the docker --gpus flag) is not supported. Please use the NVIDIA "
     "Container Runtime (e.g. specify the --runtime=nvidia flag) instead.: unknown"},
    {"ldconfig-missing", BY_DOCKER
     "nvidia-container-cli: ldcache error: open failed: /sbin/ldconfig.real: no such file or directory: unknown."},
    {"toolkit-without-rights", "W0323 07:31:52.059423 30762 nvc.c:273] failed to set inheritable capabilities"},
    {"toolkit-without-rights",
     "nvidia-container-cli: permission error: capability change failed: operation not permitted"},
    {"engine-failed", BY_DOCKER "nvidia-container-cli: timeout error: rpc error: timed out: unknown."},
    // The engine and a process print the same message for the same cause.
    {"driver-library-mismatch",
     BY_DOCKER "nvidia-container-cli: initialization error: nvml error: driver/library version mismatch: unknown."},
    {"device-permission",
     BY_DOCKER "nvidia-container-cli: initialization error: nvml error: insufficient permissions: unknown"},
};

std::vector<Fault> engine_faults() {
  std::vector<Fault> faults;
  for (const auto& [code, line] : engine_lines) {
    faults.push_back({code, Severity::error, "cuda:0", with_engine_words(line)});
  }
  return faults;
}

std::vector<Fault> all_faults() {
  auto faults = gpu_faults();
  for (Fault& fault : engine_faults()) faults.push_back(std::move(fault));
  for (Fault& fault : host_faults()) faults.push_back(std::move(fault));
  return faults;
}

Needs needs_for(const Fault& fault) {
  Needs needs = fault.needs;
  needs.device = fault.device;
  return needs;
}

TEST(Diagnose, EachFaultGivesItsFindingFirst) {
  for (const Fault& fault : all_faults()) {
    const auto findings = diagnose(fault.facts, needs_for(fault));
    ASSERT_FALSE(findings.empty()) << fault.code;
    EXPECT_EQ(findings[0].code, fault.code) << findings[0].what;
    EXPECT_EQ(findings[0].severity, fault.severity) << fault.code;
    EXPECT_FALSE(findings[0].what.empty() || findings[0].why.empty() || findings[0].remedy.empty()) << fault.code;
  }
}

TEST(Diagnose, OneFaultGivesOneFinding) {
  for (const Fault& fault : all_faults()) {
    // V100 and P100, like the T4, also lack bf16.
    const auto findings = diagnose(fault.facts, [&] {
      Needs needs = needs_for(fault);
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
  for (std::size_t start = page.find("\n| `", page.find("## Findings")); start != std::string::npos;
       start = page.find("\n| `", start + 1)) {
    rows.push_back(page.substr(start + 4, page.find('`', start + 4) - start - 4));
  }
  EXPECT_EQ(rows, finding_codes());
}

TEST(Diagnose, TheTroubleshootingPageFindsCodesByMessage) {
  const std::string page = read_text_file(TRAINYARD_SOURCE_DIR "/docs/troubleshooting.md", "test");
  const std::size_t end = page.find("## Findings");
  int rows = 0;
  for (std::size_t start = page.find("\n| `"); start < end; start = page.find("\n| `", start + 1)) {
    const std::string row = page.substr(start + 3, page.find(" |\n", start) - start - 3);
    const std::size_t code = row.rfind("| `");
    const auto found = explain_error({}, needs_of("auto"), "cuda:0", row.substr(0, code));
    ASSERT_TRUE(found.has_value()) << row;
    EXPECT_EQ("| `" + found->code + "`", row.substr(code));
    ++rows;
  }
  EXPECT_GT(rows, 40);
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

// Messages exactly as CUDA, NVML, Docker and LibTorch print them, and the code of the rule that must match.
struct Words {
  const char* message;
  const char* code;
};

constexpr Words symptoms[] = {
    {"CUDA driver version is insufficient for CUDA runtime version", "driver-too-old"},
    {"the provided PTX was compiled with an unsupported toolchain.", "driver-too-old"},
    {"CUDA error 304: cudaErrorOperatingSystem - OS call failed or operation not supported on this OS", "cuda-304"},
    {"Failed to initialize NVML: Insufficient Permissions", "device-permission"},
    {"libnvidia-ml.so.1: cannot open shared object file: No such file or directory", "libcuda-missing"},
    {"ImportError: libcuda.so.1: cannot open shared object file: No such file or directory", "libcuda-missing"},
    {"Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU", "kernel-module-missing"},
    {"RuntimeError: No CUDA GPUs are available", "gpu-not-visible"},
    {"CUDA error: no CUDA-capable device is detected", "gpu-not-visible"},
    {"ImportError: libcudnn.so.9: cannot open shared object file: No such file or directory", "library-error"},
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
  // On the machine where the message was seen, and on an unknown machine.
  for (const Facts& facts : {machines::with_gpus(1), Facts{}}) {
    for (const auto& [message, code] : symptoms) {
      const auto found = explain_error(facts, needs_of("cuda"), "cuda:0", message);
      ASSERT_TRUE(found.has_value()) << message;
      EXPECT_EQ(found->code, code) << message;
      EXPECT_TRUE(sentence(*found).ends_with(". To do: " + found->remedy + " (" + code + ")"));
    }
  }
}

TEST(ExplainError, EngineLinesAreJudgedByRulesAboutTheHost) {
  // Whatever is known about the machine on which they are pasted.
  for (const Facts& facts : {Facts{}, machines::with_gpus(1), machines::docker(), machines::container_without_gpu(),
                             machines::wsl2(), machines::cpu_only()}) {
    for (const auto& [code, line] : engine_lines) {
      const auto found = explain_error(facts, needs_of("auto"), "cuda:0", line);
      ASSERT_TRUE(found.has_value()) << line;
      EXPECT_EQ(found->code, code) << line;
    }
  }
}

TEST(ExplainError, AMissingDriverOfTheHostIsNotTheLibraryPath) {
  const auto found = explain_error({}, needs_of("auto"), "cuda:0",
                                   BY_DOCKER
                                   "nvidia-container-cli: initialization error: load library failed: "
                                   "libnvidia-ml.so.1: cannot open shared object file");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->remedy.find("LD_LIBRARY_PATH"), std::string::npos) << found->remedy;
  EXPECT_NE(found->what.find(": nvidia-container-cli: initialization error"), std::string::npos) << found->what;
}

TEST(ExplainError, OtherLinesOfTheEngineAreNotOurs) {
  for (const char* line : {"Error response from daemon: No such container: trainer",
                           "docker: Error response from daemon: pull access denied for trainyard"}) {
    EXPECT_FALSE(explain_error({}, needs_of("auto"), "cuda:0", line)) << line;
  }
}

TEST(ExplainError, BlamesTheCardForAMissingKernelOnlyWithoutOwnKernels) {
  const char* words = "CUDA error: no kernel image is available for execution on the device";
  const auto code = [&](const Facts& facts) { return explain_error(facts, needs_of("auto"), "cuda:0", words)->code; };
  EXPECT_EQ(code(machines::with_gpus(1)), "own-kernels-missing");
  EXPECT_EQ(code({}), "no-kernel-image");
  Facts facts = machines::with_gpus(1, "Tesla P100", 6, 0);
  facts.torch.own_architectures.clear();
  EXPECT_EQ(code(facts), "gpu-too-old");
  facts = machines::with_gpus(1, "NVIDIA Thor", 11, 0);
  facts.torch.own_architectures.clear();
  EXPECT_EQ(code(facts), "gpu-too-new");
  // Facts about LibTorch say nothing about an unknown card.
  Facts cardless;
  cardless.torch = facts.torch;
  EXPECT_EQ(code(cardless), "no-kernel-image");
}

TEST(ExplainError, ThorIsNotSentToTheLibTorchItHas) {
  const auto findings = diagnose(machines::with_gpus(1, "NVIDIA Thor", 11, 0), needs_of("cuda"));
  ASSERT_EQ(findings[0].code, "gpu-too-new");
  EXPECT_EQ(findings[0].remedy.find("CUDA 13.0"), std::string::npos) << findings[0].remedy;
  EXPECT_NE(findings[0].remedy.find("nvcr.io/nvidia/pytorch"), std::string::npos) << findings[0].remedy;
}

TEST(Diagnose, VisibleDevicesSayWhichEntryEndsThem) {
  const struct {
    const char* value;
    const char* why;
  } lists[] = {{"0,7,1", "7 is not here, and what follows it is left out"},
               {"0,,1", "an empty entry ends the list"},
               {"0,gpu1", "gpu1 is neither an index nor an identifier"},
               {"0,-1", "-1 is neither an index nor an identifier"},
               {"0,GPU-*", "indices and identifiers cannot stand in one list"},
               {"GPU-*,GPU-*", "GPU-* is not here, and what follows it is left out"},
               {"0;1", "0;1 is read as 0; entries are separated by commas"},
               {"0 1", "0 1 is read as 0; entries are separated by commas"}};
  for (const auto& [value, why] : lists) {
    Facts facts = machines::with_gpus(1);
    facts.environment["CUDA_VISIBLE_DEVICES"] = value;
    const auto findings = diagnose(facts, needs_of("auto"));
    ASSERT_EQ(findings.size(), 1u) << value;
    EXPECT_EQ(findings[0].code, "visible-devices-cut");
    EXPECT_EQ(findings[0].why, why);
  }
  for (const char* value : {"0", " 0", "0,", "0, ", "GPU-*", "01", "+0"}) {
    Facts facts = machines::with_gpus(1);
    facts.environment["CUDA_VISIBLE_DEVICES"] = value;
    EXPECT_TRUE(diagnose(facts, needs_of("auto")).empty()) << value;
  }
}

TEST(Diagnose, VisibleDevicesThatShowNoGpuSayWhy) {
  const struct {
    const char* value;
    int code;
    const char* why;
  } lists[] = {{"", 100, "an empty list shows none"},
               {"-1", 100, "-1 is neither an index nor an identifier"},
               {"7,0", 100, "its first entry, 7, is not here; this machine has 2, counted from 0"},
               {"MIG-*", 100, "its first entry, MIG-*, is not here; this machine has 2, counted from 0"},
               {"NoDevFiles", 100, "NoDevFiles is neither an index nor an identifier"},
               {"1,1", 101, "it names a GPU twice, which CUDA refuses (error 101)"}};
  for (const auto& [value, code, why] : lists) {
    Facts facts = machines::without_devices(machines::with_gpus(2), code, no_device);
    facts.environment["CUDA_VISIBLE_DEVICES"] = value;
    const auto findings = diagnose(facts, needs_of("cuda"));
    ASSERT_EQ(findings.size(), 1u) << value;
    EXPECT_EQ(findings[0].code, "cuda-visible-devices");
    EXPECT_EQ(findings[0].why, why);
  }
}

TEST(Diagnose, PreloadedAllocatorsAreFine) {
  Facts facts = machines::with_gpus(1);
  facts.environment["LD_PRELOAD"] = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";
  EXPECT_TRUE(diagnose(facts, needs_of("auto")).empty());
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
  EXPECT_TRUE(found->remedy.starts_with("use --loader.batch_size 256 (it is 512); or --train.precision bf16"))
      << found->remedy;
  EXPECT_NE(found->remedy.find("expandable_segments"), std::string::npos);
}

TEST(Diagnose, ThreadsOfAllProcessesAreCompared) {
  Facts facts = machines::with_gpus(1);
  facts.host.cores = 8;
  const auto found = [&](int number, int processes) {
    Needs needs = threads(number);
    needs.local_world_size = processes;
    for (const Finding& finding : diagnose(facts, needs)) {
      if (finding.code == "too-many-threads") return finding.what + ": " + finding.remedy;
    }
    return std::string();
  };
  EXPECT_EQ(found(8, 1), "");
  EXPECT_EQ(found(4, 2), "");
  EXPECT_EQ(found(64, 1), "train.threads = 64, and 8 cores may be used: use --train.threads 8, or leave it out");
  EXPECT_EQ(found(8, 2),
            "train.threads = 8 in each of 2 processes, and 8 cores may be used: use --train.threads 4, or "
            "leave it out");
}

TEST(ExplainError, OutOfMemoryNamesTheSamplesOnTheGpu) {
  const auto remedy = [](bool keeps_samples) {
    Needs needs = needs_of("cuda");
    needs.keeps_samples = keeps_samples;
    return explain_error(machines::with_gpus(1), needs, "cuda:0", "CUDA out of memory.").value().remedy;
  };
  EXPECT_NE(remedy(true).find("--loader.cache none"), std::string::npos) << remedy(true);
  EXPECT_EQ(remedy(false).find("--loader.cache"), std::string::npos) << remedy(false);
}

TEST(Diagnose, ManyFaultsAtOnceNeverCrashAndAlwaysHaveARemedy) {
  // Random mixtures: each part of the facts comes from one of the broken machines.
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
    // A GPU selected by name either works or gets an error with the reason.
    if (needs.device.starts_with("cuda") && usable_devices(facts, needs).empty()) {
      ASSERT_FALSE(findings.empty());
      EXPECT_EQ(findings[0].severity, Severity::error);
    }
  }
}

}  // namespace
}  // namespace trainyard
