/// Facts of made-up machines for the tests of the check. A test starts from a healthy one and breaks one thing.
#pragma once

#include <string>
#include <vector>

#include "check/facts.h"

namespace trainyard::machines {

/// A machine without a GPU, but with a LibTorch for CUDA, as in the package.
inline Facts cpu_only() {
  Facts facts;
  facts.host.distribution = "Debian GNU/Linux 12 (bookworm)";
  facts.host.kernel = "6.1.0-18-amd64";
  facts.host.cores = 8;
  facts.host.logical_cores = 16;
  facts.host.physical_cores = 8;
  facts.host.memory = 32ull << 30;
  facts.host.memory_available = 30ull << 30;
  facts.host.clock = 1'800'000'000;
  facts.host.program_time = 1'799'000'000;
  facts.host.uid = 1000;
  facts.host.cgroup = "v2";
  facts.driver.libcuda_error = "libcuda.so.1: cannot open shared object file: No such file or directory";
  facts.driver.nvml_error = "libnvidia-ml.so.1: cannot open shared object file: No such file or directory";
  facts.torch.version = "2.14.0";
  facts.torch.cuda_compiled = "13.0";
  facts.torch.cuda_linked = true;
  facts.torch.cuda_runtime = "13.0";
  facts.torch.cudnn = "9.24.0";
  facts.torch.nccl = "2.29.3";
  facts.torch.cudnn_compiled = "9.24.0";
  facts.torch.nccl_compiled = "2.29.3";
  facts.torch.architectures = {"sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"};
  facts.torch.own_architectures = {"sm_75", "compute_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"};
  facts.shared_memory = {"/dev/shm", 16ull << 30, 16ull << 30, true, 1 << 20, ""};
  facts.limits.open_files = 65'536;
  facts.limits.stack = 8ull << 20;
  FolderFacts runs;
  runs.purpose = runs.path = "runs";
  runs.exists = runs.usable = true;
  runs.free = 100ull << 30;
  runs.owner = 1000;
  runs.mode = "0755";
  runs.newest = 1'799'990'000;
  facts.folders = {runs};
  facts.libraries = {{"libcudart.so.13", "~/torch/nvidia/cu13/lib/libcudart.so.13", true}};
  facts.probes = {{"cpu", "matmul fp32", "ok", "", 0.001, 1e-6}};
  return facts;
}

/// A GPU that CUDA counts but does not open.
inline DeviceFacts unopened(int index) {
  return {.index = index, .name = "", .pci = "", .error = "CUDA_ERROR_DEVICE_UNAVAILABLE: busy or unavailable"};
}

/// Adds a driver and `count` working GPUs.
inline Facts with_gpus(int count, const std::string& name = "NVIDIA H200", int major = 9, int minor = 0) {
  Facts facts = cpu_only();
  facts.host.kernel_module = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06";
  facts.driver = {"/usr/lib/x86_64-linux-gnu/libcuda.so.580.65.06", "", 13'000, 0, "", 0, "", "580.65.06", {}};
  facts.host.device_nodes = {{"nvidia-uvm", ""}, {"nvidiactl", ""}};
  for (int i = 0; i < count; ++i) {
    const std::string pci = "00000000:0" + std::to_string(i) + ":00.0";
    facts.host.nvidia_cards.emplace_back("0x2335");
    facts.host.device_nodes.push_back({"nvidia" + std::to_string(i), ""});
    CardFacts& card = facts.driver.cards.emplace_back();
    card.pci = pci;
    card.name = name;
    card.memory = 140ull << 30;
    card.memory_free = 139ull << 30;
    card.persistence = card.ecc = true;
    card.compute_mode = "default";
    card.temperature = 31;
    card.power = 78;
    card.power_limit = 700;
    card.pcie_generation = 5;
    card.pcie_width = card.pcie_width_most = 16;
    facts.devices.push_back({i, name, major, minor, 140ull << 30, 139ull << 30, pci});
    const std::string device = "cuda:" + std::to_string(i);
    facts.probes.push_back({device, "own kernel", "ok", "", 0.2, 0});
    facts.probes.push_back({device, "conv bf16", "ok", "", 0.5, 0.003});
  }
  if (count > 1) {
    facts.probes.push_back({"gpus", "copy 0>1", "ok", "", 0.1, 0, 370e9});
    facts.probes.push_back({"gpus", "all-reduce 256 MiB", "ok", "P2P", 0.4, 1e-7, 300e9});
  }
  return facts;
}

/// One GPU in Docker on Ubuntu, in the default state of the official image.
inline Facts docker() {
  Facts facts = with_gpus(1);
  facts.host.distribution = "Ubuntu 24.04.1 LTS";
  facts.host.container = "docker";
  facts.environment = {{"NVIDIA_VISIBLE_DEVICES", "all"}, {"NVIDIA_DRIVER_CAPABILITIES", "compute,utility"}};
  return facts;
}

/// One GPU in Podman.
inline Facts podman() {
  Facts facts = docker();
  facts.host.container = "podman";
  return facts;
}

/// A GeForce under WSL2: no PCI card, /dev/dxg, libcuda from Windows.
inline Facts wsl2() {
  Facts facts = with_gpus(1, "NVIDIA GeForce RTX 4090", 8, 9);
  facts.host.kernel = "5.15.167.4-microsoft-standard-WSL2";
  facts.host.wsl2 = true;
  facts.host.nvidia_cards.clear();
  facts.host.kernel_module.clear();
  facts.host.device_nodes = {{"dxg", ""}};
  facts.driver.libcuda = "/usr/lib/wsl/lib/libcuda.so.1";
  facts.driver.cards[0].persistence = false;
  return facts;
}

/// One MIG instance of an H100.
inline Facts mig() {
  Facts facts = with_gpus(1, "NVIDIA H100 80GB HBM3 MIG 1g.10gb");
  facts.driver.cards[0].mig = true;
  facts.driver.cards[0].mig_instances = 1;
  facts.devices[0].memory = 10ull << 30;
  facts.devices[0].memory_free = 0;
  facts.environment = {{"CUDA_VISIBLE_DEVICES", "MIG-*"}};
  return facts;
}

/// Removes all CUDA devices; `code` and `error` are the result of cuInit.
inline Facts without_devices(Facts facts, int code, const std::string& error) {
  facts.devices.clear();
  std::erase_if(facts.probes, [](const ProbeFacts& probe) { return probe.device != "cpu"; });
  facts.driver.init_code = code;
  facts.driver.init_error = error;
  return facts;
}

/// The host's GPU is not passed into the container.
inline Facts container_without_gpu() {
  Facts facts = without_devices(docker(), -1, "");
  facts.driver = cpu_only().driver;
  facts.host.device_nodes.clear();
  return facts;
}

}  // namespace trainyard::machines
