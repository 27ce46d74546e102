// No GPU or no driver: checks the PCI bus, LibTorch, the container, and the kernel.
#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "check/place.h"
#include "check/rules.h"

namespace trainyard::rules {
namespace {

constexpr auto error = Severity::error;

bool wanted_by_name(const Needs& needs) { return needs.device.starts_with("cuda"); }

// Includes the single device of WSL2.
bool has_gpu_node(const Facts& facts) {
  const auto& nodes = facts.host.device_nodes;
  return gpu_nodes(facts) > 0 ||
         std::any_of(nodes.begin(), nodes.end(), [](const DeviceNode& node) { return node.name == "dxg"; });
}

Result no_gpu(const Facts& facts, const Needs& needs) {
  if (!wanted_by_name(needs) || !facts.devices.empty() || gpu_on_host(facts)) return {};
  Remedy remedy(facts, needs);
  remedy.add("use a machine with a GPU");
  add_cpu(remedy);
  return finding(error, fmt::format("train.device = {}, and this machine has no NVIDIA GPU", needs.device),
                 "no display device of NVIDIA on the PCI bus, no driver, no device file", remedy);
}

Result torch_cpu_only(const Facts& facts, const Needs& needs) {
  if (facts.torch.version.empty() || !facts.torch.cuda_compiled.empty()) return {};
  if (!gpu_on_host(facts) && !wanted_by_name(needs)) return {};
  return finding(error, fmt::format("LibTorch {} was built without CUDA", facts.torch.version),
                 "a CPU-only package of torch is installed where the build looked for it",
                 in_container(facts)
                     ? "set BASE_IMAGE in .env to an image with CUDA, e.g. "
                       "pytorch/pytorch:2.14.0-cuda13.0-cudnn9-devel, then `make up`"
                     : "install a build with CUDA (`python3 -m pip install --force-reinstall torch`), or name another "
                       "Python by TORCH_PYTHON; then `make distclean && make train`");
}

Result cuda_not_linked(const Facts& facts, const Needs&) {
  if (facts.torch.cuda_compiled.empty() || facts.torch.cuda_linked) return {};
  return finding(
      error, "the GPU half of LibTorch (libtorch_cuda.so) is not in this program",
      "the linker dropped it: nothing calls it by name, it registers itself",
      "link it between -Wl,--no-as-needed and -Wl,--as-needed, as cmake/LibTorch.cmake does, and build again");
}

Result nvidia_visible_devices(const Facts& facts, const Needs& needs) {
  const std::string* value = variable(facts, "NVIDIA_VISIBLE_DEVICES");
  if (!missed(facts, needs) || !in_container(facts) || has_gpu_node(facts) || !value) return {};
  if (*value != "void" && *value != "none" && !value->empty()) return {};
  return finding(
      error,
      fmt::format("the container was given no GPU: NVIDIA_VISIBLE_DEVICES is {}", value->empty() ? "empty" : *value),
      "the container runtime injects the GPUs this variable names when the container starts",
      pass_gpus(facts) + "; leave NVIDIA_VISIBLE_DEVICES out");
}

Result container_without_gpu(const Facts& facts, const Needs& needs) {
  if (!missed(facts, needs) || !in_container(facts) || has_gpu_node(facts)) return {};
  return finding(
      error,
      fmt::format("{}this container ({}) has none",
                  gpu_on_host(facts) ? "the host has an NVIDIA GPU, " : "a GPU is asked for, ", facts.host.container),
      "no device file of a GPU is in it: it was started without GPUs, or is being built (`docker build` has "
      "none)",
      pass_gpus(facts));
}

// From branch 590 on, the driver does not support cards older than Turing, whose first device id is 0x1e02.
Result driver_too_new(const Facts& facts, const Needs& needs) {
  constexpr int last_branch = 580;
  constexpr int first_turing = 0x1e00;
  const std::string version = driver_version(facts);
  if (!missed(facts, needs) || !facts.driver.cards.empty() || major_of(version) <= last_branch) return {};
  for (const std::string& card : facts.host.nvidia_cards) {
    int id = 0;
    if (!card.starts_with("0x")) continue;
    std::from_chars(card.data() + 2, card.data() + card.size(), id, 16);
    if (id <= 0 || id >= first_turing) continue;
    Remedy remedy(facts, needs);
    std::string words = fmt::format("{}install driver {}", on_host(facts), last_branch);
    std::vector<Change> changes = {{"driver.most", std::to_string(last_branch)}};
    Remedy libtorch(facts, needs);
    add_libtorch(libtorch, facts, "12.6");
    if (!libtorch.empty()) words += "; then " + libtorch.words();
    changes.insert(changes.end(), libtorch.changes().begin(), libtorch.changes().end());
    remedy.add(words, changes);
    return finding(error, fmt::format("driver {} is too new for this card (PCI id {})", version, card),
                   fmt::format("the card is older than Turing; driver {} is the last that serves it", last_branch),
                   remedy);
  }
  return {};
}

Result kernel_module_missing(const Facts& facts, const Needs& needs) {
  const bool loaded = !facts.host.kernel_module.empty() || !facts.driver.cards.empty();
  const bool absent = missed(facts, needs) && !facts.host.wsl2 && !facts.host.nvidia_cards.empty() && !loaded;
  if (!absent && !probe_message_contains(facts, "Found no NVIDIA driver")) return {};
  const std::string& kernel = facts.host.kernel;
  return finding(error,
                 absent ? "the machine has an NVIDIA GPU, but its driver is not loaded" : "no NVIDIA driver is here",
                 "there is no /proc/driver/nvidia/version: the driver is not installed, was not built for this kernel" +
                     (kernel.empty() ? "" : " (" + kernel + ")") + ", or is blocked by Secure Boot",
                 on_host(facts) +
                     "install the NVIDIA driver and reboot; `sudo modprobe nvidia; sudo dmesg | tail` says "
                     "what stops it");
}

constexpr Rule table[] = {
    {"no-gpu", "gpu", no_gpu},
    {"torch-cpu-only", "libtorch", torch_cpu_only},
    {"cuda-not-linked", "libtorch", cuda_not_linked},
    {"nvidia-visible-devices", "gpu", nvidia_visible_devices},
    {"container-without-gpu", "gpu", container_without_gpu},
    {"driver-too-new", "driver", driver_too_new},
    {"kernel-module-missing", "driver", kernel_module_missing},
};

}  // namespace

std::span<const Rule> missing_gpu() { return table; }

}  // namespace trainyard::rules
