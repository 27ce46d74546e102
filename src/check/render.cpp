#include "check/render.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "check/architectures.h"
#include "check/device.h"
#include "check/rules.h"
#include "check/terminal.h"

namespace trainyard {
namespace {

using rules::size_text;
constexpr std::size_t indent = 17;  // of a table's second column

// The mark of a line is the worst of the findings that are about it.
std::string row(const CheckResult& result, const Painter& paint, const std::function<bool(const Finding&)>& about,
                const std::string& name, const std::string& text) {
  const auto worst = std::find_if(result.findings.begin(), result.findings.end(), about);
  const bool good = worst == result.findings.end() || worst->severity == Severity::note;
  const std::string mark = good                                   ? paint.green("+")
                           : worst->severity == Severity::warning ? paint.severity(worst->severity, "!")
                                                                  : paint.severity(worst->severity, "x");
  return fmt::format("{} {:<{}}{}\n", mark, name, indent - 2, wrapped(text, indent));
}

std::string row(const CheckResult& result, const Painter& paint, const std::string& subject, const std::string& name,
                const std::string& text) {
  return row(result, paint, [&](const Finding& finding) { return finding.subject == subject; }, name, text);
}

std::string host_text(const HostFacts& host) {
  std::string text = host.name.empty() ? "" : host.name + ", ";
  text += host.distribution.empty() ? "Linux" : host.distribution;
  text += ", kernel " + host.kernel;
  if (host.wsl2) text += ", WSL2";
  if (!host.container.empty()) text += ", in a container (" + host.container + ")";
  if (!host.user.empty()) text += ", user " + host.user;
  return text;
}

std::string cpu_text(const HostFacts& host) {
  std::string text = fmt::format("{} cores usable; the machine has {}, with hyper-threads {}", host.cores,
                                 host.physical_cores, host.logical_cores);
  if (host.cpu_quota > 0) text += fmt::format("; the cgroup's quota is {:.1f}", host.cpu_quota);
  return text;
}

std::string memory_text(const HostFacts& host) {
  std::string text = fmt::format("{}, {} available", size_text(host.memory), size_text(host.memory_available));
  if (host.memory_limit) text += ", limit " + size_text(*host.memory_limit);
  if (host.out_of_memory_kills > 0) text += fmt::format(", {} killed for memory so far", host.out_of_memory_kills);
  return text;
}

std::string driver_text(const DriverFacts& driver) {
  if (driver.libcuda.empty()) return "none";
  std::string text = driver.version.empty() ? "version unknown" : driver.version;
  text += fmt::format(", CUDA up to {}.{}", driver.cuda_version / 1000, driver.cuda_version % 1000 / 10);
  if (!driver.init_error.empty()) text += ", " + driver.init_error;
  if (!driver.nvml_error.empty()) text += ", NVML: " + driver.nvml_error;
  return text;
}

std::string torch_text(const TorchFacts& torch) {
  if (torch.cuda_compiled.empty()) return torch.version + ", without CUDA";
  std::string text = fmt::format("{}, CUDA {}", torch.version, torch.cuda_compiled);
  if (!torch.cudnn.empty()) text += ", cuDNN " + torch.cudnn;
  if (!torch.nccl.empty()) text += ", NCCL " + torch.nccl;
  return text;
}

std::string device_text(const Facts& facts, const DeviceFacts& device, bool verbose) {
  std::string text = fmt::format("{}, compute capability {}.{}, {}", device.name, device.major, device.minor,
                                 size_text(device.memory));
  if (device.memory_free > 0) text += fmt::format(", {} free", size_text(device.memory_free));
  const CardFacts* card = rules::card_of(facts, device);
  if (!verbose || !card) return text;
  text += fmt::format("; {} °C, {:.0f} of {:.0f} W, PCI Express {}.0 x{}, ECC {}, persistence {}, compute mode {}",
                      card->temperature, card->power, card->power_limit, card->pcie_generation, card->pcie_width,
                      card->ecc ? "on" : "off", card->persistence ? "on" : "off", card->compute_mode);
  if (!card->processes.empty()) text += "; " + rules::processes_text(card->processes);
  if (!card->uuid.empty()) text += "; " + card->uuid;
  if (!card->serial.empty()) text += "; serial number " + card->serial;
  return text;
}

std::string missing_gpu_text(const HostFacts& host) {
  if (host.nvidia_cards.empty()) return "none";
  return fmt::format("none usable, {} on the PCI bus", host.nvidia_cards.size());
}

std::string limit_text(const Limit& limit, bool bytes) {
  return !limit ? "unlimited" : bytes ? size_text(*limit) : std::to_string(*limit);
}

std::string limits_text(const LimitFacts& limits, bool verbose) {
  std::string text = fmt::format("open files {}, locked memory {}", limit_text(limits.open_files, false),
                                 limit_text(limits.memlock, true));
  if (!verbose) return text;
  return text + fmt::format("; open files at most {}, {} open now, processes {}, stack {}, address space {}",
                            limit_text(limits.open_files_most, false), limits.open_now,
                            limit_text(limits.processes, false), limit_text(limits.stack, true),
                            limit_text(limits.address_space, true));
}

std::string shared_memory_text(const SharedMemoryFacts& memory) {
  if (memory.size == 0) return memory.path + ": none";
  std::string text = fmt::format("{}: {}, {} free", memory.path, size_text(memory.size), size_text(memory.free));
  text += memory.writable ? ", writable" : ", not writable";
  return memory.error.empty() ? text : text + ", " + memory.error;
}

std::string folder_text(const FolderFacts& folder) {
  if (!folder.error.empty()) return folder.error;
  return fmt::format("{}, {} free", folder.path, size_text(folder.free));
}

// "matmul" and "bf16" of "matmul bf16"; another name is whole.
std::pair<std::string, std::string> operation_and_precision(const std::string& name) {
  const std::size_t blank = name.rfind(' ');
  const std::string precision = blank == std::string::npos ? "" : name.substr(blank + 1);
  if (precision != "fp32" && precision != "bf16" && precision != "fp16") return {name, ""};
  return {name.substr(0, blank), precision};
}

std::string measured(const ProbeFacts& probe) {
  std::string text;
  if (probe.bytes_per_second > 0) text += fmt::format(" {:.1f} GB/s", probe.bytes_per_second / 1e9);
  if (!probe.message.empty()) text += " " + probe.message;
  return text;
}

// All probes of a device that passed, in one line: "elementwise fp32 bf16, copy 12.0 GB/s".
std::string passed_probes(const std::vector<ProbeFacts>& probes, const std::string& device) {
  std::string text;
  std::string last;
  double seconds = 0;
  for (const ProbeFacts& probe : probes) {
    if (probe.device != device || probe.outcome != "ok") continue;
    const auto [operation, precision] = operation_and_precision(probe.name);
    if (precision.empty() || operation != last) text += (text.empty() ? "" : ", ") + operation;
    if (!precision.empty()) text += " " + precision;
    text += measured(probe);
    last = operation;
    seconds += probe.seconds;
  }
  return text.empty() ? text : text + fmt::format("; {:.1f} s", seconds);
}

std::string probe_row(const ProbeFacts& probe, const Painter& paint) {
  const bool ok = probe.outcome == "ok";
  std::string line = ok ? fmt::format("{:.1f} ms", probe.seconds * 1000) : probe.outcome;
  if (std::isfinite(probe.max_error)) line += fmt::format(", relative error {:.1e}", probe.max_error);
  if (const std::string more = measured(probe); !more.empty()) line += "," + more;
  return fmt::format("{} {:<7} {}\n", ok ? paint.green("+") : paint.severity(Severity::error, "x"), probe.device,
                     wrapped(fmt::format("{:<17} {}", probe.name, line), 10));
}

std::string probe_rows(const CheckResult& result, const Painter& paint, bool verbose) {
  std::string text;
  std::string last;
  for (const ProbeFacts& probe : result.facts.probes) {
    if (!verbose && probe.device != last) {
      const std::string passed = passed_probes(result.facts.probes, probe.device);
      if (!passed.empty())
        text += fmt::format("{} {:<15}{}\n", paint.green("+"), probe.device, wrapped(passed, indent));
    }
    last = probe.device;
    if (verbose || probe.outcome != "ok") text += probe_row(probe, paint);
  }
  return text;
}

std::string library_rows(const std::vector<LibraryFacts>& libraries) {
  std::string text;
  for (const LibraryFacts& library : libraries) {
    text += wrapped(fmt::format("  {}{}", library.path, library.loaded ? ", loaded" : ""), 4) + "\n";
  }
  return text;
}

// NVIDIA's images have a variable of a thousand characters.
std::string shortened(const std::string& value, bool verbose) {
  constexpr std::size_t most = 200;
  const std::string_view start = start_of(value, most);
  if (verbose || start.size() == value.size()) return value;
  return fmt::format("{}... ({} characters; --verbose shows all)", start, value.size());
}

std::string environment_rows(const std::map<std::string, std::string>& environment, bool verbose) {
  std::string text;
  for (const auto& [name, value] : environment) {
    text += wrapped(fmt::format("  {}={}", name, shortened(value, verbose)), 4) + "\n";
  }
  return text;
}

std::string painted_verdict(const CheckResult& result, const Painter& paint) {
  const std::string text = wrapped(verdict(result), 0);
  return exit_code(result) == ExitCode::done ? paint("1;32", text) : paint("1;31", text);
}

}  // namespace

std::string render_finding(const Finding& finding, bool colour) {
  const std::string head = fmt::format("{} [{}]", name_of(finding.severity), finding.code);
  return fmt::format("{}\n  {}\n  why: {}\n  fix: {}\n", Painter(colour).severity(finding.severity, head),
                     wrapped(finding.what, 2), wrapped(finding.why, 7), wrapped(finding.remedy, 7));
}

std::string render_full(const CheckResult& result, const RenderOptions& options) {
  const Painter paint(options.colour);
  const bool verbose = options.verbose;
  const Facts& facts = result.facts;
  std::string text;
  text += row(result, paint, "host", "host", host_text(facts.host));
  text += row(result, paint, "cpu", "cpu", cpu_text(facts.host));
  text += row(result, paint, "memory", "memory", memory_text(facts.host));
  text += row(result, paint, "shared memory", "shared memory", shared_memory_text(facts.shared_memory));
  text += row(result, paint, "limits", "limits", limits_text(facts.limits, verbose));
  for (const FolderFacts& folder : facts.folders) {
    text += row(result, paint, folder.purpose, folder.purpose, folder_text(folder));
  }
  text += row(result, paint, "libtorch", "LibTorch", torch_text(facts.torch));
  if (!facts.torch.architectures.empty()) {
    text += row(result, paint, "libtorch", "compiled for", readable(facts.torch.architectures));
    text += row(result, paint, "libtorch", "own kernels", readable(facts.torch.own_architectures));
  }
  if (result.needs.device == "cpu") {
    text += row(result, paint, "gpu", "GPU", "not looked at, train.device = cpu");
  } else {
    text += row(result, paint, "driver", "driver", driver_text(facts.driver));
    if (facts.devices.empty()) text += row(result, paint, "gpu", "GPU", missing_gpu_text(facts.host));
  }
  for (const DeviceFacts& device : facts.devices) {
    const auto about = [&](const Finding& finding) {
      return std::find(finding.devices.begin(), finding.devices.end(), device.index) != finding.devices.end();
    };
    text += row(result, paint, about, fmt::format("cuda:{}", device.index), device_text(facts, device, verbose));
  }
  if (!facts.probes.empty()) text += "\n" + probe_rows(result, paint, verbose);
  if (verbose && !facts.libraries.empty()) text += "\n" + library_rows(facts.libraries);
  if (!facts.environment.empty()) text += "\n" + environment_rows(facts.environment, verbose);
  for (const Finding& finding : result.findings) text += "\n" + render_finding(finding, options.colour);
  return text + "\n" + painted_verdict(result, paint) + "\n";
}

std::string render_short(const CheckResult& result, bool colour) {
  const Painter paint(colour);
  const Facts& facts = result.facts;
  std::string text = wrapped(fmt::format("machine: {} cores, {}, {} {} free", facts.host.cores,
                                         size_text(facts.host.memory_limit.value_or(facts.host.memory)),
                                         facts.shared_memory.path, size_text(facts.shared_memory.free)),
                             2) +
                     "\n";
  text += wrapped("LibTorch: " + torch_text(facts.torch), 2) + "\n";
  text += painted_verdict(result, paint) + "\n";
  for (const Finding& finding : result.findings) {
    if (finding.severity != Severity::note) text += render_finding(finding, colour);
  }
  return text;
}

std::string verdict(const CheckResult& result) {
  if (exit_code(result) != ExitCode::done) {
    return fmt::format("not ready: {} ({})", result.findings.front().what, result.findings.front().code);
  }
  const Device device = resolve_device(result.needs, result.facts);
  if (!device.cuda) return fmt::format("ready: cpu, {} cores", result.facts.host.cores);
  const auto facts = std::find_if(result.facts.devices.begin(), result.facts.devices.end(),
                                  [&](const DeviceFacts& each) { return each.index == device.index; });
  return fmt::format("ready: {} {}, {}", device.name(), facts->name, result.needs.precision);
}

}  // namespace trainyard
