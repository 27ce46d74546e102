#include <fmt/format.h>
#include <fmt/ranges.h>

#include "check/architectures.h"
#include "check/place.h"
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

// The first probe of the device with this outcome whose message contains these words.
const ProbeFacts* probe_of(const Facts& facts, const DeviceFacts& device, std::string_view outcome,
                           std::string_view words = "") {
  const std::string name = fmt::format("cuda:{}", device.index);
  for (const ProbeFacts& probe : facts.probes) {
    if (probe.device == name && probe.outcome == outcome && contains(probe.message, words)) {
      return &probe;
    }
  }
  return nullptr;
}

// The text between two phrases; empty if they are missing.
std::string between(std::string_view text, std::string_view start, std::string_view end) {
  const std::size_t first = text.find(start);
  if (first == std::string_view::npos) return "";
  const std::size_t stop = text.find(end, first + start.size());
  if (stop == std::string_view::npos) return "";
  const std::size_t begin = text.rfind(start, stop - start.size()) + start.size();
  return std::string(text.substr(begin, stop - begin));
}

// The device's failed probe that matches the earliest of `words`.
const ProbeFacts* probe_of(const Facts& facts, const DeviceFacts& device, std::initializer_list<const char*> words) {
  for (const char* each : words) {
    if (const ProbeFacts* probe = probe_of(facts, device, "error", each)) return probe;
  }
  return nullptr;
}

std::string probe_name(const ProbeFacts& probe) {
  return probe.name.empty() ? std::string("a computation") : "`" + probe.name + "`";
}

// "LibTorch 2.14.0 for CUDA 13.0", as far as known.
std::string libtorch_text(const TorchFacts& torch) {
  return "LibTorch" + (torch.version.empty() ? "" : " " + torch.version) +
         (torch.cuda_compiled.empty() ? "" : " for CUDA " + torch.cuda_compiled);
}

// The LibTorch packages that support a card, newest first, and the alternatives for a card that none supports.
void add_serving_libtorch(Remedy& remedy, const Facts& facts, const DeviceFacts& device) {
  const struct {
    const char* cuda;
    std::vector<std::string> architectures;
  } packages[] = {{"13.0", {"sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"}},
                  {"12.8", {"sm_70", "sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"}},
                  {"12.6", {"sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"}}};
  int offered = 0;
  for (const auto& package : packages) {
    if (offered == 2 || !serves(package.architectures, device.major, device.minor)) continue;
    const std::size_t before = remedy.words().size();
    add_libtorch(remedy, facts, package.cuda);
    offered += remedy.words().size() > before ? 1 : 0;
  }
  if (offered > 0) return;
  // Jetson and Thor: no package on PyPI has their kernels.
  if (device.major == 11 || (device.minor == 7 && device.major == 8) || (device.minor == 2 && device.major == 7)) {
    remedy.add("take NVIDIA's own image for it, nvcr.io/nvidia/pytorch (Thor: 25.08 or later), as BASE_IMAGE in .env");
  }
  remedy.add(device.major >= 5
                 ? fmt::format("build LibTorch from source with TORCH_CUDA_ARCH_LIST={}.{}", device.major, device.minor)
                 : "use a GPU of compute capability 5.0 or higher");
  add_cpu(remedy);
}

Result not_served(const Facts& facts, const Needs& needs, const DeviceFacts& device, const char* how) {
  Remedy remedy(facts, needs);
  add_serving_libtorch(remedy, facts, device);
  return finding(error, fmt::format("{} is {} this LibTorch serves", name_and_capability(device), how),
                 libtorch_text(facts.torch) + " is compiled for " + readable(facts.torch.architectures), remedy);
}

bool known_and_not_served(const std::vector<std::string>& compiled, const DeviceFacts& device) {
  return oldest(compiled) > 0 && device.major > 0 && !serves(compiled, device.major, device.minor);
}

bool is_older(const std::vector<std::string>& compiled, const DeviceFacts& device) {
  return 10 * std::int64_t{device.major} + device.minor <= oldest(compiled);
}

Result gpu_too_old(const Facts& facts, const Needs& needs, const DeviceFacts& device) {
  const auto& compiled = facts.torch.architectures;
  if (!known_and_not_served(compiled, device) || !is_older(compiled, device)) return {};
  return not_served(facts, needs, device, "older than anything");
}

Result gpu_too_new(const Facts& facts, const Needs& needs, const DeviceFacts& device) {
  const auto& compiled = facts.torch.architectures;
  if (!known_and_not_served(compiled, device) || is_older(compiled, device)) return {};
  return not_served(facts, needs, device, "newer than, or between, those that");
}

// LibTorch supports the card, because earlier rules did not apply.
Result own_kernels_missing(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const auto& compiled = facts.torch.own_architectures;
  if (oldest(compiled) == 0) return {};
  const bool absent = known_and_not_served(compiled, device);
  if (!absent && !probe_of(facts, device, "error", "no kernel image")) return {};
  return finding(
      error, fmt::format("Trainyard's own kernels were not compiled for {}", name_and_capability(device)),
      "they are compiled for " + readable(compiled),
      device.major > 0 && absent
          ? fmt::format("build again with CUDA_ARCHS={}{}, or on the machine with the GPU: `make distclean && "
                        "CUDA_ARCHS={}{} make train`",
                        device.major, device.minor, device.major, device.minor)
          : "build again on the machine with the GPU: `make distclean && make train`");
}

// The fused kernels, CUDA graphs and NCCL are in the part that requires a CUDA compiler.
Result own_kernels_left_out(const Facts& facts, const Needs&, const DeviceFacts& device) {
  if (facts.torch.own_architectures != std::vector<std::string>{"none"}) return {};
  return finding(Severity::warning, "this program was built without Trainyard's own kernels",
                 fmt::format("it was built where there was no GPU or no CUDA compiler; {} trains slower without them, "
                             "and several GPUs cannot train together",
                             name_of(device)),
                 "build again on the machine with the GPU: `make train`, or with CUDA_ARCHS=all");
}

// The compiled architectures are unknown, or should support the card.
Result no_kernel_image(const Facts& facts, const Needs& needs, const DeviceFacts& device) {
  if (!probe_of(facts, device, "error", "no kernel image")) return {};
  Remedy remedy(facts, needs);
  if (device.major > 0) {
    add_serving_libtorch(remedy, facts, device);
  } else {
    add_libtorch(remedy, facts, "12.6");
    add_libtorch(remedy, facts, "13.0");
  }
  return finding(
      error, fmt::format("no kernel was compiled for {}: no kernel image is available", name_and_capability(device)),
      "LibTorch has kernels for some cards alone: for CUDA 12.6 from Maxwell to Hopper, for CUDA 13.0 from "
      "Turing to Blackwell; `trainyard check` compares the card with what is compiled in",
      remedy);
}

Result gpu_exclusive(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const CardFacts* card = card_of(facts, device);
  if (card && card->compute_mode == "prohibited") {
    return finding(error, fmt::format("{} is in compute mode PROHIBITED", name_of(device)),
                   "its administrator forbade computing on it", on_host(facts) + "`sudo nvidia-smi -c DEFAULT`");
  }
  const bool refused = probe_of(facts, device, "error", "busy or unavailable") != nullptr;
  const bool exclusive = card && card->compute_mode.starts_with("exclusive");
  if (!refused && !(exclusive && !card->processes.empty())) return {};
  return finding(error, fmt::format("{} belongs to one process at a time, and another has it", name_of(device)),
                 exclusive && !card->processes.empty()
                     ? fmt::format("it is in compute mode EXCLUSIVE_PROCESS; {}", processes_text(card->processes))
                     : "it is in compute mode EXCLUSIVE_PROCESS, or the driver is being reset",
                 on_host(facts) +
                     "`nvidia-smi` shows that process: wait for it, or end it; or `sudo nvidia-smi -c "
                     "DEFAULT`; or take another GPU");
}

// What LibTorch's message says; each is empty if it does not.
struct Amounts {
  std::string asked;
  std::string free;
  std::string held;    // by this process
  std::string unused;  // of those
};

Amounts amounts_in(std::string_view message) {
  return {.asked = between(message, "Tried to allocate ", ". "),
          .free = between(message, " of which ", " is free"),
          .held = between(message, "allocated memory ", " is allocated by PyTorch"),
          .unused = between(message, "and ", " is reserved by PyTorch but unallocated")};
}

Remedy remedy_of_memory(const Facts& facts, const Needs& needs, const DeviceFacts& device, bool has_others,
                        const Amounts& amounts) {
  Remedy remedy(facts, needs);
  if (has_others) remedy.add(on_host(facts) + "`nvidia-smi` shows those processes: end them; or take another GPU");
  if (needs.batch_size > 1) {
    const std::string half = std::to_string(needs.batch_size / 2);
    remedy.add(fmt::format("use --loader.batch_size {} (it is {})", half, needs.batch_size),
               {{"loader.batch_size", half}});
  } else {
    remedy.add("use a smaller --loader.batch_size", {{"loader.batch_size", "1"}});
  }
  if (device.major >= 8 && needs.precision != "fp16") {
    remedy.add("--train.precision bf16", {{"train.precision", "bf16"}});
  }
  remedy.add("--loader.cache none, which keeps the samples out of the GPU's memory", {{"loader.cache", "none"}});
  remedy.add("use smaller images or a smaller model");
  if (amounts.unused.find("GiB") != std::string::npos) {
    remedy.add("PYTORCH_ALLOC_CONF=expandable_segments:True, which reuses more",
               {{"env.PYTORCH_ALLOC_CONF", "expandable_segments:True"}});
  }
  return remedy;
}

Result gpu_out_of_memory(const Facts& facts, const Needs& needs, const DeviceFacts& device) {
  const ProbeFacts* probe =
      probe_of(facts, device,
               {"out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED",
                "unable to find an engine to execute this computation"});  // cuDNN, without workspace
  const bool little = device.memory_free > 0 && device.memory_free < least_free_memory;
  if (!little && !probe) return {};
  // The message is more accurate than earlier measurements.
  Amounts amounts = probe ? amounts_in(probe->message) : Amounts();
  if (amounts.free.empty() && device.memory_free > 0) amounts.free = size_text(device.memory_free);
  std::vector<std::string> figures;
  if (!amounts.asked.empty()) figures.push_back(amounts.asked + " asked for");
  if (!amounts.free.empty()) {
    figures.push_back(amounts.free + " free" + (device.memory > 0 ? " of " + size_text(device.memory) : ""));
  }
  const CardFacts* card = card_of(facts, device);
  const bool has_others = card && !card->processes.empty();
  std::string why = has_others ? processes_text(card->processes) : "this run asks for more than is free";
  if (!amounts.held.empty()) {
    why += "; this run holds " + amounts.held + (amounts.unused.empty() ? "" : ", " + amounts.unused + " of it unused");
  }
  return finding(
      error,
      fmt::format("{} is out of memory{}{}", name_of(device), figures.empty() ? "" : ": ", fmt::join(figures, ", ")),
      std::move(why), remedy_of_memory(facts, needs, device, has_others, amounts));
}

Result library_error(const Facts& facts, const Needs& needs, const DeviceFacts& device) {
  const ProbeFacts* probe = probe_of(facts, device,
                                     {"version incompatibility", "CUDNN_STATUS_VERSION_MISMATCH",
                                      "CUDNN_STATUS_SUBLIBRARY", "cannot open shared object file", "undefined symbol"});
  if (!probe) return {};
  Remedy remedy(facts, needs);
  remedy.add("unset LD_LIBRARY_PATH: LibTorch brings its own libraries", {{"env.LD_LIBRARY_PATH", ""}});
  remedy.add(
      "`trainyard check --verbose` lists what is loaded and from where: remove the other copy, or reinstall torch");
  return finding(
      error, fmt::format("a CUDA library does not fit on {}{}", name_of(device), quoted_message(probe->message)),
      "another version of it than LibTorch's own is found first, or one is missing" + library_path(facts), remedy);
}

Result device_assert(const Facts& facts, const Needs& needs, const DeviceFacts& device) {
  if (!probe_of(facts, device, "error", "device-side assert")) return {};
  Remedy remedy(facts, needs);
  remedy.add("check the labels of the dataset; --train.device cpu makes the error name the index",
             {{"train.device", "cpu"}});
  remedy.add("CUDA_LAUNCH_BLOCKING=1 makes it name the call", {{"env.CUDA_LAUNCH_BLOCKING", "1"}});
  return finding(error, fmt::format("a kernel's own check failed on {}: device-side assert triggered", name_of(device)),
                 "an index is out of range: most often a label that is not in 0 to classes - 1", remedy);
}

Result illegal_access(const Facts& facts, const Needs& needs, const DeviceFacts& device) {
  const ProbeFacts* probe = probe_of(facts, device,
                                     {"illegal memory access", "illegal instruction", "misaligned address",
                                      "invalid program counter", "invalid device function"});
  if (!probe) return {};
  Remedy remedy(facts, needs);
  remedy.add("CUDA_LAUNCH_BLOCKING=1 makes the error name the call", {{"env.CUDA_LAUNCH_BLOCKING", "1"}});
  remedy.add("`compute-sanitizer build/release/trainyard train ...` finds the place");
  return finding(
      error, fmt::format("a kernel went wrong on {}{}", name_of(device), quoted_message(probe->message)),
      "a fault in a kernel (one of ours, or of a library), seldom in the GPU; the call that is named is often "
      "a later one",
      remedy);
}

Result gpu_lost(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const ProbeFacts* probe =
      probe_of(facts, device,
               {"GPU is lost", "fallen off the bus", "unspecified launch failure", "hardware stack error",
                "uncorrectable ECC error", "Unable to determine the device handle", "launch timed out",
                "over nvlink or a hardware error"});
  if (!probe && device.error.empty()) return {};
  return finding(
      error,
      probe ? fmt::format("{} stopped working{}", name_of(device), quoted_message(probe->message))
            : fmt::format("CUDA counts {}, but does not open it{}", name_of(device), quoted_message(device.error)),
      "a fault of the card, its power supply or its slot, or the driver gave a kernel up",
      kernel_log(facts, "xid") + "; " + reset_gpu(facts) +
          "; the same command resumes from the last checkpoint; if it comes back, have the card examined");
}

Result probe_crashed(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const ProbeFacts* probe = probe_of(facts, device, "crashed");
  if (!probe) return {};
  return finding(
      error, fmt::format("{} crashed on {}{}", probe_name(*probe), name_of(device), quoted_message(probe->message)),
      "a driver or library that does not fit, or a defective GPU", kernel_log(facts, "xid") + "; " + reboot(facts));
}

Result probe_hung(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const ProbeFacts* probe = probe_of(facts, device, "hung");
  if (!probe) return {};
  return finding(error,
                 fmt::format("{} hung on {}{}", probe_name(*probe), name_of(device), quoted_message(probe->message)),
                 "the GPU does not answer: another process blocks it, or it has fallen off the bus",
                 "`nvidia-smi` shows whether it answers; " + kernel_log(facts, "xid") + "; " + reset_gpu(facts));
}

Result probe_wrong(const Facts& facts, const Needs&, const DeviceFacts& device) {
  const ProbeFacts* probe = probe_of(facts, device, "wrong");
  if (!probe) return {};
  return finding(
      error,
      fmt::format("{} gives wrong values on {}{}", probe_name(*probe), name_of(device), quoted_message(probe->message)),
      "defective GPU memory, overclocking, or a library that does not fit the driver",
      "do not train on it; `nvidia-smi -q -d ECC` counts memory errors; run `trainyard check --full` again");
}

Result probe_error(const Facts& facts, const Needs& needs, const DeviceFacts& device) {
  const ProbeFacts* probe = probe_of(facts, device, "error");
  if (!probe) return {};
  Remedy remedy(facts, needs);
  remedy.add("run it alone with CUDA_LAUNCH_BLOCKING=1", {{"env.CUDA_LAUNCH_BLOCKING", "1"}});
  remedy.add(kernel_log(facts, "nvrm -e xid"));
  return finding(error,
                 fmt::format("{} failed on {}{}", probe_name(*probe), name_of(device), quoted_message(probe->message)),
                 "CUDA, cuBLAS or cuDNN refused in these words", remedy);
}

constexpr DeviceRule table[] = {
    {"gpu-too-old", gpu_too_old},
    {"gpu-too-new", gpu_too_new},
    {"own-kernels-missing", own_kernels_missing},
    {"no-kernel-image", no_kernel_image},
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
    {"own-kernels-left-out", own_kernels_left_out},
};

}  // namespace

std::span<const DeviceRule> broken_gpu() { return table; }

}  // namespace trainyard::rules
