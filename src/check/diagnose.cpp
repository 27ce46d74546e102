#include "check/diagnose.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "check/rules.h"
#include "util/printable.h"

namespace trainyard {
namespace {

Finding named(const char* code, const char* subject, Finding finding) {
  finding.code = code;
  finding.subject = subject;
  return finding;
}

std::optional<Finding> why_missing(const Facts& facts, const Needs& needs) {
  for (const auto& table : {rules::engine(), rules::missing_gpu(), rules::failing_driver()}) {
    for (const rules::Rule& rule : table) {
      if (auto found = rule.apply(facts, needs)) return named(rule.code, rule.subject, std::move(*found));
    }
  }
  return std::nullopt;
}

std::optional<Finding> why_broken(const Facts& facts, const Needs& needs, const DeviceFacts& device) {
  for (const rules::DeviceRule& rule : rules::broken_gpu()) {
    if (auto found = rule.apply(facts, needs, device)) return named(rule.code, "gpu", std::move(*found));
  }
  return std::nullopt;
}

// Merges the same finding on several devices into one that names them all.
void add_device_finding(std::vector<Finding>& findings, std::size_t first, Finding finding, int index) {
  const auto same = std::find_if(findings.begin() + static_cast<std::ptrdiff_t>(first), findings.end(),
                                 [&](const Finding& other) { return other.code == finding.code; });
  if (same == findings.end()) {
    finding.devices = {index};
    findings.push_back(std::move(finding));
  } else {
    same->what += fmt::format("; also cuda:{}", index);
    same->devices.push_back(index);
  }
}

void add_findings(std::vector<Finding>& findings, std::span<const rules::Rule> table, const Facts& facts,
                  const Needs& needs) {
  for (const rules::Rule& rule : table) {
    if (auto found = rule.apply(facts, needs)) findings.push_back(named(rule.code, rule.subject, std::move(*found)));
  }
}

void add_gpu_findings(std::vector<Finding>& findings, const Facts& facts, const Needs& needs) {
  // Without a usable GPU `auto` falls back to the CPU, with a warning; a device requested by name must work.
  const Severity severity = needs.device == "auto" ? Severity::warning : Severity::error;
  if (auto found = why_missing(facts, needs)) {
    found->severity = severity;
    findings.push_back(std::move(*found));
    return;
  }
  const bool another_works = !usable_devices(facts, needs).empty();
  const std::size_t first = findings.size();
  for (const DeviceFacts& device : facts.devices) {
    if (!rules::is_wanted(needs, device.index)) continue;
    if (auto found = why_broken(facts, needs, device)) {
      found->severity = another_works ? Severity::warning : severity;
      add_device_finding(findings, first, std::move(*found), device.index);
    }
    for (const rules::DeviceRule& rule : rules::gpu_state()) {
      if (auto found = rule.apply(facts, needs, device)) {
        add_device_finding(findings, first, named(rule.code, "gpu", std::move(*found)), device.index);
      }
    }
  }
  add_findings(findings, rules::gpu_group(), facts, needs);
}

}  // namespace

std::vector<Finding> diagnose(const Facts& facts, const Needs& needs) {
  std::vector<Finding> findings;
  if (needs.device != "cpu") {
    add_gpu_findings(findings, facts, needs);
    add_findings(findings, rules::environment(), facts, needs);
  }
  add_findings(findings, rules::host(), facts, needs);
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  return findings;
}

std::vector<int> usable_devices(const Facts& facts, const Needs& needs) {
  std::vector<int> usable;
  if (needs.device == "cpu" || why_missing(facts, needs)) return usable;
  for (const DeviceFacts& device : facts.devices) {
    if (!rules::is_wanted(needs, device.index)) continue;
    if (!why_broken(facts, needs, device)) usable.push_back(device.index);
  }
  return usable;
}

namespace {

// The container engine's message is about the host, of which this process knows only the kind.
std::optional<Finding> explain_engine(const Facts& facts, ProbeFacts words) {
  Facts known;
  known.host.wsl2 = facts.host.wsl2;
  known.host.container = facts.host.container;
  known.probes = {std::move(words)};
  return why_missing(known, Needs{});
}

// The last rule for a device accepts any message: those of CUDA and its libraries name the library.
bool is_of_cuda(std::string_view message) {
  constexpr const char* families[] = {"CUDA", "CUBLAS", "CUDNN", "CUSOLVER", "CUSPARSE"};
  return std::any_of(std::begin(families), std::end(families),
                     [&](const char* name) { return rules::contains(message, name); });
}

}  // namespace

std::optional<Finding> explain_error(Facts facts, Needs needs, const std::string& device, const std::string& message) {
  constexpr std::size_t most = 1 << 20;
  const std::string words = printable(message, most);
  const ProbeFacts probe{device, "", "error", words, 0, std::numeric_limits<double>::quiet_NaN()};
  if (rules::is_of_engine(words)) {
    ProbeFacts of_engine = probe;
    of_engine.device = rules::engine_device;
    return explain_engine(facts, std::move(of_engine));
  }
  needs.device = facts.devices.empty() ? "auto" : device;  // with no device known, that is not the problem
  facts.probes = {probe};
  if (auto found = why_missing(facts, needs)) return found;
  for (const rules::Rule& rule : rules::gpu_group()) {
    if (auto found = rule.apply(facts, needs)) return named(rule.code, rule.subject, std::move(*found));
  }
  needs.device = device;
  const std::vector<int> indices = rules::listed_devices(needs);
  if (indices.empty()) return std::nullopt;
  const int index = indices.front();
  const auto known = std::find_if(facts.devices.begin(), facts.devices.end(),
                                  [&](const DeviceFacts& each) { return each.index == index; });
  DeviceFacts nameless;
  nameless.index = index;
  auto found = why_broken(facts, needs, known == facts.devices.end() ? nameless : *known);
  return found && (found->code != "probe-error" || is_of_cuda(words)) ? found : std::nullopt;
}

std::string sentence(const Finding& finding) {
  return fmt::format("{}; {}. To do: {} ({})", finding.what, finding.why, finding.remedy, finding.code);
}

std::vector<std::string> finding_codes() {
  std::vector<std::string> codes;
  const auto add = [&](const auto& table) {
    for (const auto& rule : table) codes.emplace_back(rule.code);
  };
  add(rules::engine());
  add(rules::missing_gpu());
  add(rules::failing_driver());
  add(rules::broken_gpu());
  add(rules::gpu_state());
  add(rules::gpu_group());
  add(rules::environment());
  add(rules::host());
  return codes;
}

}  // namespace trainyard
