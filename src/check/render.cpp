#include "check/render.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "check/architectures.h"
#include "check/device.h"
#include "check/group_probes.h"
#include "check/rules.h"
#include "check/terminal.h"
#include "util/count_of.h"

namespace trainyard {
namespace {

constexpr std::size_t indent = 17;  // of a table's second column

// The mark of a line is that of the most severe finding about it.
std::string row(const CheckResult& result, const Painter& paint, const std::function<bool(const Finding&)>& about,
                const std::string& name, const std::string& text) {
  const auto worst = std::find_if(result.findings.begin(), result.findings.end(), about);
  const bool good = worst == result.findings.end() || worst->severity == Severity::note;
  const std::string mark = good                                   ? paint.green("+")
                           : worst->severity == Severity::warning ? paint.severity(worst->severity, "!")
                                                                  : paint.severity(worst->severity, "x");
  return fmt::format("{} {:<{}}{}\n", mark, name, indent - 2, paint.wrapped(text, indent));
}

std::string row(const CheckResult& result, const Painter& paint, const std::string& subject, const std::string& name,
                const std::string& text) {
  return row(result, paint, [&](const Finding& finding) { return finding.subject == subject; }, name, text);
}

/// Joins the pieces of a line, leaving out unknown ones.
class Pieces {
 public:
  Pieces& add(bool known, const std::string& text) {
    if (known) text_ += (text_.empty() ? "" : ", ") + text;
    return *this;
  }
  Pieces& add(const std::string& text) { return add(!text.empty(), text); }
  std::string text() const { return text_.empty() ? "not known" : text_; }

 private:
  std::string text_;
};

std::string host_text(const HostFacts& host) {
  return Pieces()
      .add(host.name)
      .add(host.distribution)
      .add(!host.kernel.empty(), "kernel " + host.kernel)
      .add(host.wsl2, "WSL2")
      .add(!host.container.empty(), "in a container (" + host.container + ")")
      .add(!host.user.empty(), "user " + host.user)
      .text();
}

std::string cpu_text(const HostFacts& host) {
  return Pieces()
      .add(host.cores > 0, count_of(host.cores, "usable core"))
      .add(host.physical_cores > 0, fmt::format("the machine has {}", host.physical_cores))
      .add(host.logical_cores > 0, fmt::format("with hyper-threads {}", host.logical_cores))
      .add(host.cpu_quota > 0, fmt::format("the cgroup's quota is {:.1f}", host.cpu_quota))
      .text();
}

std::string memory_text(const HostFacts& host) {
  return Pieces()
      .add(host.memory > 0, size_text(host.memory))
      .add(host.memory_available > 0, size_text(host.memory_available) + " available")
      .add(host.memory_limit.has_value(), "limit " + size_text(host.memory_limit.value_or(0)))
      .add(host.out_of_memory_kills > 0, fmt::format("{} killed for memory so far", host.out_of_memory_kills))
      .text();
}

std::string driver_text(const DriverFacts& driver) {
  if (driver.libcuda.empty() && driver.version.empty()) return "none";
  const int cuda = driver.cuda_version;
  return Pieces()
      .add(driver.version)
      .add(cuda >= 1000, fmt::format("CUDA up to {}.{}", cuda / 1000, cuda % 1000 / 10))
      .add(driver.init_error)
      .add(!driver.nvml_error.empty(), "NVML: " + driver.nvml_error)
      .text();
}

std::string torch_text(const TorchFacts& torch) {
  return Pieces()
      .add(torch.version)
      .add(torch.cuda_compiled.empty() && !torch.version.empty(), "without CUDA")
      .add(!torch.cuda_compiled.empty(), "CUDA " + torch.cuda_compiled)
      .add(!torch.cudnn.empty(), "cuDNN " + torch.cudnn)
      .add(!torch.nccl.empty(), "NCCL " + torch.nccl)
      .text();
}

std::string card_text(const CardFacts& card) {
  std::string link = card.pcie_generation > 0 ? fmt::format(" {}.0", card.pcie_generation) : "";
  if (card.pcie_width > 0) link += fmt::format(" x{}", card.pcie_width);
  const std::string limit = card.power_limit > 0 ? fmt::format(" of {:.0f}", card.power_limit) : "";
  return Pieces()
      .add(card.temperature > 0, fmt::format("{} °C", card.temperature))
      .add(card.power > 0, fmt::format("{:.0f}{} W", card.power, limit))
      .add(!link.empty(), "PCI Express" + link)
      .add(card.ecc ? "ECC on" : "ECC off")
      .add(card.persistence ? "persistence on" : "persistence off")
      .add(!card.compute_mode.empty(), "compute mode " + card.compute_mode)
      .add(rules::processes_text(card.processes))
      .add(card.uuid)
      .add(!card.serial.empty(), "serial number " + card.serial)
      .text();
}

std::string device_text(const Facts& facts, const DeviceFacts& device, bool verbose) {
  const CardFacts* card = rules::card_of(facts, device);
  return Pieces()
      .add(device.name)
      .add(device.error)
      .add(device.major > 0, fmt::format("compute capability {}.{}", device.major, device.minor))
      .add(device.memory > 0, size_text(device.memory))
      .add(device.memory_free > 0, size_text(device.memory_free) + " free")
      .add(verbose && card != nullptr, card ? card_text(*card) : "")
      .text();
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
  text += "; open files at most " + limit_text(limits.open_files_most, false);
  if (limits.open_now > 0) text += fmt::format(", {} open now", limits.open_now);
  return text + fmt::format(", processes {}, stack {}, address space {}", limit_text(limits.processes, false),
                            limit_text(limits.stack, true), limit_text(limits.address_space, true));
}

std::string shared_memory_text(const SharedMemoryFacts& memory) {
  if (memory.size == 0) return memory.path.empty() ? "none" : memory.path + ": none";
  std::string text = memory.path.empty() ? "" : memory.path + ": ";
  text += fmt::format("{}, {} free", size_text(memory.size), size_text(memory.free));
  text += memory.writable ? ", writable" : ", not writable";
  return memory.error.empty() ? text : text + ", " + memory.error;
}

std::string folder_text(const FolderFacts& folder) {
  if (!folder.error.empty()) return folder.error;
  return Pieces().add(folder.path).add(folder.free.has_value(), size_text(folder.free.value_or(0)) + " free").text();
}

std::string name_of(const ProbeFacts& probe) { return probe.name.empty() ? "a computation" : probe.name; }

// "matmul" and "bf16" from "matmul bf16"; any other name is not split.
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

// All successful copies between GPUs: "copies 365.2 to 371.4 GB/s".
std::string passed_copies(const std::vector<ProbeFacts>& probes) {
  double least = 0;
  double most = 0;
  for (const ProbeFacts& probe : probes) {
    if (!is_peer_copy(probe) || probe.outcome != "ok") continue;
    least = most == 0 ? probe.bytes_per_second : std::min(least, probe.bytes_per_second);
    most = std::max(most, probe.bytes_per_second);
  }
  return most > 0 ? fmt::format("copies {:.1f} to {:.1f} GB/s", least / 1e9, most / 1e9) : "";
}

// All successful probes of a device, in one line: "elementwise fp32 bf16, copy 12.0 GB/s".
std::string passed_probes(const std::vector<ProbeFacts>& probes, const std::string& device) {
  std::string text = device == all_gpus ? passed_copies(probes) : "";
  std::string last;
  double seconds = 0;
  for (const ProbeFacts& probe : probes) {
    if (probe.device != device || probe.outcome != "ok") continue;
    if (is_peer_copy(probe)) {  // in the text already
      seconds += probe.seconds;
      continue;
    }
    const auto [operation, precision] = operation_and_precision(name_of(probe));
    if (precision.empty() || operation != last) text += (text.empty() ? "" : ", ") + operation;
    if (!precision.empty()) text += " " + precision;
    text += measured(probe);
    last = operation;
    seconds += probe.seconds;
  }
  return text.empty() || seconds == 0 ? text : text + fmt::format("; {:.1f} s", seconds);
}

std::string probe_row(const ProbeFacts& probe, const Painter& paint) {
  const bool ok = probe.outcome == "ok";
  std::string line = ok && probe.seconds > 0 ? fmt::format("{:.1f} ms", probe.seconds * 1000) : probe.outcome;
  if (line.empty()) line = "failed";
  if (std::isfinite(probe.max_error)) line += fmt::format(", relative error {:.1e}", probe.max_error);
  if (const std::string more = measured(probe); !more.empty()) line += "," + more;
  return fmt::format("{} {:<7} {}\n", ok ? paint.green("+") : paint.severity(Severity::error, "x"), probe.device,
                     paint.wrapped(fmt::format("{:<17} {}", name_of(probe), line), 10));
}

std::string probe_rows(const CheckResult& result, const Painter& paint, bool verbose) {
  std::string text;
  std::string last;
  for (const ProbeFacts& probe : result.facts.probes) {
    if (!verbose && probe.device != last) {
      const std::string passed = passed_probes(result.facts.probes, probe.device);
      if (!passed.empty())
        text += fmt::format("{} {:<15}{}\n", paint.green("+"), probe.device, paint.wrapped(passed, indent));
    }
    last = probe.device;
    if (verbose || probe.outcome != "ok") text += probe_row(probe, paint);
  }
  return text;
}

std::string library_rows(const std::vector<LibraryFacts>& libraries, const Painter& paint) {
  std::string text;
  for (const LibraryFacts& library : libraries) {
    if (library.path.empty() && library.name.empty()) continue;
    text += paint.wrapped(fmt::format("  {}{}", library.path.empty() ? library.name : library.path,
                                      library.loaded ? ", loaded" : ""),
                          4) +
            "\n";
  }
  return text;
}

// NVIDIA's images set a variable of a thousand characters.
std::string shortened(const std::string& value, bool verbose) {
  constexpr std::size_t most = 200;
  const std::string_view start = start_of(value, most);
  if (verbose || start.size() == value.size()) return value;
  return fmt::format("{}... ({} characters; --verbose shows all)", start, value.size());
}

std::string environment_rows(const std::map<std::string, std::string>& environment, const Painter& paint,
                             bool verbose) {
  std::string text;
  for (const auto& [name, value] : environment) {
    text += paint.wrapped(fmt::format("  {}={}", name, shortened(value, verbose)), 4) + "\n";
  }
  return text;
}

std::string painted_verdict(const CheckResult& result, const Painter& paint) {
  const std::string text = paint.wrapped(verdict(result), 0);
  return exit_code(result) == ExitCode::done ? paint("1;32", text) : paint("1;31", text);
}

}  // namespace

std::string render_finding(const Finding& finding, const RenderOptions& options) {
  const Painter paint(options.colour, options.columns);
  const std::string head = fmt::format("{} [{}]", name_of(finding.severity), finding.code);
  return fmt::format("{}\n  {}\n  why: {}\n  fix: {}\n", paint.severity(finding.severity, head),
                     paint.wrapped(finding.what, 2), paint.wrapped(finding.why, 7), paint.wrapped(finding.remedy, 7));
}

std::string render_full(const CheckResult& result, const RenderOptions& options) {
  const Painter paint(options.colour, options.columns);
  const bool verbose = options.verbose;
  const Facts& facts = result.facts;
  std::string text;
  text += row(result, paint, "host", "host", host_text(facts.host));
  text += row(result, paint, "cpu", "cpu", cpu_text(facts.host));
  text += row(result, paint, "memory", "memory", memory_text(facts.host));
  text += row(result, paint, "shared memory", "shared memory", shared_memory_text(facts.shared_memory));
  text += row(result, paint, "limits", "limits", limits_text(facts.limits, verbose));
  for (const FolderFacts& folder : facts.folders) {
    const std::string name = folder.purpose.empty() ? "folder" : folder.purpose;
    text += row(result, paint, name, name, folder_text(folder));
  }
  text += row(result, paint, "libtorch", "LibTorch", torch_text(facts.torch));
  for (const auto& [name, architectures] : {std::pair{"compiled for", &facts.torch.architectures},
                                            std::pair{"own kernels", &facts.torch.own_architectures}}) {
    if (oldest(*architectures) > 0) text += row(result, paint, "libtorch", name, readable(*architectures));
  }
  if (result.needs.device == "cpu") {
    text += row(result, paint, "gpu", "GPU", "not checked, train.device = cpu");
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
  if (verbose && !facts.libraries.empty()) text += "\n" + library_rows(facts.libraries, paint);
  if (!facts.environment.empty()) text += "\n" + environment_rows(facts.environment, paint, verbose);
  for (const Finding& finding : result.findings) text += "\n" + render_finding(finding, options);
  return text + "\n" + painted_verdict(result, paint) + "\n";
}

std::string render_short(const CheckResult& result, const RenderOptions& options) {
  const Painter paint(options.colour, options.columns);
  const Facts& facts = result.facts;
  const std::uint64_t memory = facts.host.memory_limit.value_or(facts.host.memory);
  const SharedMemoryFacts& shared = facts.shared_memory;
  const std::string machine =
      Pieces()
          .add(facts.host.cores > 0, count_of(facts.host.cores, "core"))
          .add(memory > 0, size_text(memory))
          .add(shared.size > 0,
               fmt::format("{} {} free", shared.path.empty() ? "shared memory" : shared.path, size_text(shared.free)))
          .text();
  std::string text = paint.wrapped("machine: " + machine, 2) + "\n";
  text += paint.wrapped("LibTorch: " + torch_text(facts.torch), 2) + "\n";
  text += painted_verdict(result, paint) + "\n";
  for (const Finding& finding : result.findings) {
    if (finding.severity != Severity::note) text += render_finding(finding, options);
  }
  return text;
}

std::string verdict(const CheckResult& result) {
  if (exit_code(result) != ExitCode::done) {
    return fmt::format("not ready: {} ({})", result.findings.front().what, result.findings.front().code);
  }
  const Device device = resolve_device(result.needs, result.facts);
  const int cores = result.facts.host.cores;
  if (!device.cuda) return cores > 0 ? "ready: cpu, " + count_of(cores, "core") : "ready: cpu";
  const auto facts = std::find_if(result.facts.devices.begin(), result.facts.devices.end(),
                                  [&](const DeviceFacts& each) { return each.index == device.index; });
  return "ready: " + device.name() + (facts->name.empty() ? "" : " " + facts->name) +
         (result.needs.precision.empty() ? "" : ", " + result.needs.precision);
}

}  // namespace trainyard
