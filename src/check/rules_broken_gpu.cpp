#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "check/architectures.h"
#include "check/rules.h"

namespace trainyard::rules {
namespace {

constexpr auto error = Severity::error;

std::string name_of(const DeviceFacts& device) { return fmt::format("cuda:{} {}", device.index, device.name); }

std::string name_and_capability(const DeviceFacts& device) {
  return fmt::format("{} (compute capability {}.{})", name_of(device), device.major, device.minor);
}

// The first probe of the device with this outcome and these words in its message.
const ProbeFacts* probe_of(const Facts& facts, const DeviceFacts& device, std::string_view outcome,
                           std::string_view words = "") {
  const std::string name = fmt::format("cuda:{}", device.index);
  for (const ProbeFacts& probe : facts.probes) {
    if (probe.device == name && probe.outcome == outcome && probe.message.find(words) != std::string::npos) {
      return &probe;
    }
  }
  return nullptr;
}

std::string compiled_for(const std::vector<std::string>& architectures) {
  return "compiled for " + readable(architectures);
}

Result gpu_too_old(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const auto& compiled = facts.torch.architectures;
  if (compiled.empty() || serves(compiled, device.major, device.minor)) return {};
  if (10 * device.major + device.minor > oldest(compiled)) return {};
  return finding(error, fmt::format("{} is older than anything this LibTorch serves", name_and_capability(device)),
                 fmt::format("LibTorch {} for CUDA {} is {}", facts.torch.version, facts.torch.cuda_compiled,
                             compiled_for(compiled)),
                 device.major >= 5 ? "take LibTorch for CUDA 12.6: the container's cuda12.6 tag serves 5.0 to 9.0"
                                   : "use a GPU of compute capability 5.0 or higher, or --train.device cpu");
}

Result gpu_too_new(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const auto& compiled = facts.torch.architectures;
  if (compiled.empty() || serves(compiled, device.major, device.minor)) return {};
  return finding(error, fmt::format("{} is newer than this LibTorch serves", name_and_capability(device)),
                 fmt::format("LibTorch {} for CUDA {} is {}", facts.torch.version, facts.torch.cuda_compiled,
                             compiled_for(compiled)),
                 device.major >= 10 && device.major <= 12
                     ? "take LibTorch for CUDA 13.0 (the container's cuda13.0 tag, driver 580) or 12.8 "
                       "(TORCH_VERSION=2.10.0, driver 570)"
                     : "take the newest LibTorch for the newest CUDA the driver serves");
}

Result own_kernels_missing(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const auto& compiled = facts.torch.own_architectures;
  const bool served = compiled.empty() || serves(compiled, device.major, device.minor);
  if (served && !probe_of(facts, device, "error", "no kernel image")) return {};
  return finding(
      error, fmt::format("Trainyard's own kernels were not compiled for {}", name_and_capability(device)),
      fmt::format("they are {}; LibTorch's own serve it", compiled_for(compiled)),
      fmt::format("build again with -DTRAINYARD_CUDA_ARCHS={}{}, or with the GPU present", device.major, device.minor));
}

Result gpu_exclusive(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const CardFacts* card = card_of(facts, device);
  if (!card) return {};
  if (card->compute_mode == "prohibited") {
    return finding(error, fmt::format("{} is in compute mode PROHIBITED", name_of(device)),
                   "its administrator forbade computing on it", "on the host: `sudo nvidia-smi -c DEFAULT`");
  }
  const bool busy = !card->process_memory.empty() || probe_of(facts, device, "error", "busy or unavailable");
  if (!card->compute_mode.starts_with("exclusive") || !busy) return {};
  return finding(error, fmt::format("{} belongs to one process at a time, and another has it", name_of(device)),
                 "it is in compute mode EXCLUSIVE_PROCESS",
                 "wait for that process (`nvidia-smi` shows it), take another GPU, or `sudo nvidia-smi -c DEFAULT`");
}

Result gpu_out_of_memory(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const bool little = device.memory_free > 0 && device.memory_free < least_free_memory;
  if (!little && !probe_of(facts, device, "error", "out of memory")) return {};
  const CardFacts* card = card_of(facts, device);
  std::vector<std::string> held;
  if (card)
    std::transform(card->process_memory.begin(), card->process_memory.end(), std::back_inserter(held), size_text);
  return finding(error,
                 fmt::format("{} is out of memory: {} free of {}", name_of(device), size_text(device.memory_free),
                             size_text(device.memory)),
                 held.empty() ? "this run asks for more than is free"
                              : fmt::format("{} other processes hold {}", held.size(), fmt::join(held, ", ")),
                 held.empty() ? "use a smaller --loader.batch_size"
                              : "end those processes (`nvidia-smi` shows them), take another GPU, or use a smaller "
                                "--loader.batch_size");
}

Result probe_crashed(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const ProbeFacts* probe = probe_of(facts, device, "crashed");
  if (!probe) return {};
  return finding(error, fmt::format("the probe `{}` crashed on {}: {}", probe->name, name_of(device), probe->message),
                 "a driver or library that does not fit, or a defective GPU",
                 "look for Xid errors with `dmesg | grep -i xid` on the host; reboot it");
}

Result probe_hung(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const ProbeFacts* probe = probe_of(facts, device, "hung");
  if (!probe) return {};
  return finding(error, fmt::format("the probe `{}` hung on {}: {}", probe->name, name_of(device), probe->message),
                 "the GPU does not answer: another process blocks it, or it has fallen off the bus",
                 "look at `nvidia-smi` and `dmesg | grep -i xid` on the host; reset the GPU or reboot");
}

Result probe_wrong(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const ProbeFacts* probe = probe_of(facts, device, "wrong");
  if (!probe) return {};
  return finding(error, fmt::format("`{}` gives wrong numbers on {}: {}", probe->name, name_of(device), probe->message),
                 "defective GPU memory, overclocking, or a library that does not fit the driver",
                 "do not train on it; look at `nvidia-smi -q -d ECC`, run `trainyard check` again");
}

Result probe_error(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const ProbeFacts* probe = probe_of(facts, device, "error");
  if (!probe) return {};
  return finding(error, fmt::format("`{}` failed on {}: {}", probe->name, name_of(device), probe->message),
                 "CUDA, cuBLAS or cuDNN refused in these words",
                 "run it alone with CUDA_LAUNCH_BLOCKING=1; look at `dmesg | grep -i -e nvrm -e xid` on the host");
}

constexpr DeviceRule table[] = {
    {"gpu-too-old", gpu_too_old},
    {"gpu-too-new", gpu_too_new},
    {"own-kernels-missing", own_kernels_missing},
    {"gpu-exclusive", gpu_exclusive},
    {"gpu-out-of-memory", gpu_out_of_memory},
    {"probe-crashed", probe_crashed},
    {"probe-hung", probe_hung},
    {"probe-wrong", probe_wrong},
    {"probe-error", probe_error},
};

}  // namespace

std::span<const DeviceRule> broken_gpu() { return table; }

}  // namespace trainyard::rules
