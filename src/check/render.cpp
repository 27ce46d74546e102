#include "check/render.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "check/architectures.h"
#include "check/device.h"
#include "check/rules.h"

namespace trainyard {
namespace {

using rules::size_text;
constexpr std::size_t columns = 80;
constexpr std::size_t indent = 17;  // of a table's second column

// Columns a text takes on the terminal: UTF-8 characters, not bytes.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// The longest start of `text` of at most `room` columns.
std::string_view start_of(std::string_view text, std::size_t room) {
  std::size_t bytes = 0;
  for (std::size_t used = 0; bytes < text.size(); ++bytes) {
    if ((text[bytes] & 0xc0) != 0x80 && ++used > room) break;
  }
  return text.substr(0, bytes);
}

// Breaks `text` at blanks so that it fits beside a margin; the lines after the first start with the margin. A word that
// is too long for a line is cut.
std::string wrapped(std::string_view text, std::size_t margin) {
  const std::size_t room = columns - std::min(margin, columns / 2);
  std::string result;
  while (width(text) > room) {
    const std::string_view most = start_of(text, room + 1);
    std::size_t cut = most.rfind(' ');
    if (cut == std::string_view::npos || cut == 0) cut = start_of(text, room).size();
    result += std::string(text.substr(0, cut)) + "\n" + std::string(std::min(margin, columns / 2), ' ');
    text.remove_prefix(cut);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  return result + std::string(text);
}

class Painter {
 public:
  explicit Painter(bool colour) : colour_(colour) {}

  std::string operator()(const char* code, const std::string& text) const {
    return colour_ ? fmt::format("\033[{}m{}\033[0m", code, text) : text;
  }
  std::string green(const std::string& text) const { return (*this)("32", text); }
  std::string severity(Severity severity, const std::string& text) const {
    return (*this)(severity == Severity::error ? "31" : severity == Severity::warning ? "33" : "36", text);
  }

 private:
  bool colour_;
};

std::string label(Severity severity) {
  return severity == Severity::error ? "error" : severity == Severity::warning ? "warning" : "note";
}

// A line of the table: its mark is the worst finding about its subject.
std::string row(const CheckResult& result, const Painter& paint, const std::string& subject, const std::string& name,
                const std::string& text) {
  const auto worst = std::find_if(result.findings.begin(), result.findings.end(),
                                  [&](const Finding& finding) { return finding.subject == subject; });
  const bool good = worst == result.findings.end() || worst->severity == Severity::note;
  const std::string mark = good                                   ? paint.green("+")
                           : worst->severity == Severity::warning ? paint.severity(worst->severity, "!")
                                                                  : paint.severity(worst->severity, "x");
  return fmt::format("{} {:<{}}{}\n", mark, name, indent - 2, wrapped(text, indent));
}

std::string host_text(const HostFacts& host) {
  std::string text = host.distribution.empty() ? "Linux" : host.distribution;
  text += ", kernel " + host.kernel;
  if (host.wsl2) text += ", WSL2";
  if (!host.container.empty()) text += ", in a container (" + host.container + ")";
  return text;
}

std::string memory_text(const HostFacts& host) {
  std::string text = fmt::format("{}, {} available", size_text(host.memory), size_text(host.memory_available));
  if (host.memory_limit) text += ", limit " + size_text(*host.memory_limit);
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

std::string device_text(const DeviceFacts& device) {
  std::string text = fmt::format("{}, compute capability {}.{}, {}", device.name, device.major, device.minor,
                                 size_text(device.memory));
  if (device.memory_free > 0) text += fmt::format(", {} free", size_text(device.memory_free));
  return text;
}

std::string missing_gpu_text(const HostFacts& host) {
  if (host.nvidia_cards.empty()) return "none";
  return fmt::format("none usable, {} on the PCI bus", host.nvidia_cards.size());
}

std::string limit_text(const Limit& limit, bool bytes) {
  return !limit ? "unlimited" : bytes ? size_text(*limit) : std::to_string(*limit);
}

std::string shared_memory_text(const SharedMemoryFacts& memory) {
  if (memory.size == 0) return memory.path + ": none";
  std::string text = fmt::format("{}: {}, {} free", memory.path, size_text(memory.size), size_text(memory.free));
  text += memory.writable ? ", writable" : ", not writable";
  return memory.error.empty() ? text : text + ", " + memory.error;
}

std::string probe_rows(const CheckResult& result, const Painter& paint) {
  std::string text;
  for (const ProbeFacts& probe : result.facts.probes) {
    const bool ok = probe.outcome == "ok";
    std::string line = ok ? fmt::format("{:.1f} ms", probe.seconds * 1000) : probe.outcome;
    if (std::isfinite(probe.max_error)) line += fmt::format(", relative error {:.1e}", probe.max_error);
    if (!probe.message.empty()) line += ", " + probe.message;
    text += fmt::format("{} {:<7} {}\n", ok ? paint.green("+") : paint.severity(Severity::error, "x"), probe.device,
                        wrapped(fmt::format("{:<17} {}", probe.name, line), 10));
  }
  return text;
}

std::string finding_text(const Finding& finding, const Painter& paint) {
  const std::string head = fmt::format("{} [{}]", label(finding.severity), finding.code);
  return fmt::format("{}\n  {}\n  why: {}\n  fix: {}\n", paint.severity(finding.severity, head),
                     wrapped(finding.what, 2), wrapped(finding.why, 7), wrapped(finding.remedy, 7));
}

std::string painted_verdict(const CheckResult& result, const Painter& paint) {
  const std::string text = wrapped(verdict(result), 0);
  return exit_code(result) == ExitCode::done ? paint("1;32", text) : paint("1;31", text);
}

}  // namespace

bool wants_colour(int stream) {
  const char* refused = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return isatty(stream) == 1 && !(refused && *refused) && terminal && std::strcmp(terminal, "dumb") != 0;
}

std::string render_full(const CheckResult& result, bool colour) {
  const Painter paint(colour);
  const Facts& facts = result.facts;
  std::string text;
  text += row(result, paint, "host", "host", host_text(facts.host));
  text += row(result, paint, "cpu", "cpu",
              fmt::format("{} cores usable; the machine has {}, with hyper-threads {}", facts.host.cores,
                          facts.host.physical_cores, facts.host.logical_cores));
  text += row(result, paint, "memory", "memory", memory_text(facts.host));
  text += row(result, paint, "shared memory", "shared memory", shared_memory_text(facts.shared_memory));
  text += row(result, paint, "limits", "limits",
              fmt::format("open files {}, locked memory {}", limit_text(facts.limits.open_files, false),
                          limit_text(facts.limits.memlock, true)));
  for (const FolderFacts& folder : facts.folders) {
    text +=
        row(result, paint, "folders", folder.purpose, fmt::format("{}, {} free", folder.path, size_text(folder.free)));
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
    text += row(result, paint, "gpu", fmt::format("cuda:{}", device.index), device_text(device));
  }
  for (const auto& [name, value] : facts.environment)
    text += fmt::format("  {}={}\n", name, wrapped(value, name.size() + 3));
  if (!facts.probes.empty()) text += "\n" + probe_rows(result, paint);
  for (const Finding& finding : result.findings) text += "\n" + finding_text(finding, paint);
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
    if (finding.severity != Severity::note) text += finding_text(finding, paint);
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
