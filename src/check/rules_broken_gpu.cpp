#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "check/architectures.h"
#include "check/rules.h"

namespace trainyard::rules {
namespace {

constexpr auto error = Severity::error;

std::string name_of(const DeviceFacts& device) {
  return fmt::format("cuda:{}{}{}", device.index, device.name.empty() ? "" : " ", device.name);
}

std::string name_and_capability(const DeviceFacts& device) {
  if (device.major == 0) return name_of(device);
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

// What stands between two phrases, empty where they are not there.
std::string between(std::string_view text, std::string_view start, std::string_view end) {
  const std::size_t first = text.find(start);
  if (first == std::string_view::npos) return "";
  const std::size_t stop = text.find(end, first + start.size());
  if (stop == std::string_view::npos) return "";
  const std::size_t begin = text.rfind(start, stop - start.size()) + start.size();
  return std::string(text.substr(begin, stop - begin));
}

std::string compiled_for(const std::vector<std::string>& architectures) {
  return "compiled for " + readable(architectures);
}

Result gpu_too_old(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const auto& compiled = facts.torch.architectures;
  if (compiled.empty() || serves(compiled, device.major, device.minor)) return {};
  if (10 * std::int64_t{device.major} + device.minor > oldest(compiled)) return {};
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
  if (card && card->compute_mode == "prohibited") {
    return finding(error, fmt::format("{} is in compute mode PROHIBITED", name_of(device)),
                   "its administrator forbade computing on it", "on the host: `sudo nvidia-smi -c DEFAULT`");
  }
  const bool refused = probe_of(facts, device, "error", "busy or unavailable") != nullptr;
  const bool exclusive = card && card->compute_mode.starts_with("exclusive");
  if (!refused && !(exclusive && !card->processes.empty())) return {};
  return finding(error, fmt::format("{} belongs to one process at a time, and another has it", name_of(device)),
                 exclusive && !card->processes.empty()
                     ? fmt::format("it is in compute mode EXCLUSIVE_PROCESS; {}", processes_text(card->processes))
                     : "it is in compute mode EXCLUSIVE_PROCESS, or the driver is being reset",
                 "wait for that process (`nvidia-smi` shows it), take another GPU, or `sudo nvidia-smi -c DEFAULT`");
}

Result gpu_out_of_memory(const Facts& facts, const Needs& needs, const DeviceFacts& device) {
  const ProbeFacts* probe = nullptr;
  for (const char* words : {"out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED",
                            "unable to find an engine to execute this computation"}) {  // cuDNN, without workspace
    if (!probe) probe = probe_of(facts, device, "error", words);
  }
  const bool little = device.memory_free > 0 && device.memory_free < least_free_memory;
  if (!little && !probe) return {};
  // LibTorch's own words know better than what was measured before: what was asked, what is free now, what we hold.
  const std::string_view message = probe ? std::string_view(probe->message) : std::string_view();
  const std::string asked = between(message, "Tried to allocate ", ". ");
  const std::string free = between(message, " of which ", " is free");
  const std::string ours = between(message, "allocated memory ", " is allocated by PyTorch");
  const std::string unused = between(message, "and ", " is reserved by PyTorch but unallocated");
  std::string what =
      fmt::format("{} is out of memory: {}{} free of {}", name_of(device), asked.empty() ? "" : asked + " asked for, ",
                  free.empty() ? size_text(device.memory_free) : free, size_text(device.memory));
  const CardFacts* card = card_of(facts, device);
  const bool others = card && !card->processes.empty();
  std::string why = others ? processes_text(card->processes) : "this run asks for more than is free";
  if (!ours.empty()) why += fmt::format("; this run holds {}, {} of it unused", ours, unused);
  std::string remedy = others ? "end those processes (`nvidia-smi` shows them), take another GPU, or use " : "use ";
  remedy += needs.batch_size > 1
                ? fmt::format("--loader.batch_size {} (it is {})", needs.batch_size / 2, needs.batch_size)
                : std::string("a smaller --loader.batch_size");
  if (needs.precision != "bf16" && device.major >= 8) remedy += ", --train.precision bf16";
  remedy += ", smaller images or a smaller model";
  if (unused.find("GiB") != std::string::npos) remedy += "; PYTORCH_ALLOC_CONF=expandable_segments:True reuses more";
  return finding(error, std::move(what), std::move(why), std::move(remedy));
}

Result library_error(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const ProbeFacts* probe = nullptr;
  for (const char* words : {"version incompatibility", "CUDNN_STATUS_VERSION_MISMATCH", "CUDNN_STATUS_SUBLIBRARY",
                            "cannot open shared object file", "undefined symbol"}) {
    if (!probe) probe = probe_of(facts, device, "error", words);
  }
  if (!probe) return {};
  return finding(error, fmt::format("a CUDA library does not fit on {}: {}", name_of(device), probe->message),
                 "another version of it than LibTorch's own is found first" + library_path(facts),
                 "unset LD_LIBRARY_PATH: LibTorch brings its own; `trainyard check --verbose` lists what is loaded");
}

Result device_assert(const Facts& facts, const Needs&, const DeviceFacts& device) {
  if (!probe_of(facts, device, "error", "device-side assert")) return {};
  return finding(error, fmt::format("a kernel's own check failed on {}: device-side assert triggered", name_of(device)),
                 "an index is out of range: most often a label that is not in 0 to classes - 1",
                 "look at the labels of the dataset; CUDA_LAUNCH_BLOCKING=1 makes the error name the call, and "
                 "--train.device cpu the index");
}

Result illegal_access(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const ProbeFacts* probe = nullptr;
  for (const char* words : {"illegal memory access", "illegal instruction", "misaligned address",
                            "invalid program counter", "invalid device function"}) {
    if (!probe) probe = probe_of(facts, device, "error", words);
  }
  if (!probe) return {};
  return finding(error, fmt::format("a kernel went wrong on {}: {}", name_of(device), probe->message),
                 "a fault in a kernel (a new one of ours, or of a library), seldom in the GPU; the call that is named "
                 "is often a later one",
                 "CUDA_LAUNCH_BLOCKING=1 makes the error name the call; `compute-sanitizer build/release/trainyard "
                 "train ...` finds the place");
}

Result gpu_lost(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const ProbeFacts* probe = nullptr;
  for (const char* words : {"GPU is lost", "fallen off the bus", "unspecified launch failure", "hardware stack error",
                            "uncorrectable ECC error", "Unable to determine the device handle", "launch timed out",
                            "over nvlink or a hardware error"}) {
    if (!probe) probe = probe_of(facts, device, "error", words);
  }
  if (!probe) return {};
  return finding(
      error, fmt::format("{} stopped working: {}", name_of(device), probe->message),
      "a fault of the card, its power supply or its slot, or the driver gave a kernel up",
      "`dmesg | grep -i xid` on the host has the driver's words; `sudo nvidia-smi -r` or reboot; the run goes "
      "on from its last checkpoint; if it comes back, have the card looked at");
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
    {"library-error", library_error},
    {"device-assert", device_assert},
    {"illegal-access", illegal_access},
    {"gpu-lost", gpu_lost},
    {"probe-crashed", probe_crashed},
    {"probe-hung", probe_hung},
    {"probe-wrong", probe_wrong},
    {"probe-error", probe_error},
};

}  // namespace

std::span<const DeviceRule> broken_gpu() { return table; }

}  // namespace trainyard::rules
