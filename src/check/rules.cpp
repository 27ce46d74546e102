#include "check/rules.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace trainyard::rules {

const CardFacts* card_of(const Facts& facts, const DeviceFacts& device) {
  for (const CardFacts& card : facts.driver.cards) {
    if (!device.pci.empty() && card.pci == device.pci) return &card;
  }
  return nullptr;
}

bool said(const Facts& facts, std::string_view words) {
  return std::any_of(facts.probes.begin(), facts.probes.end(),
                     [&](const ProbeFacts& probe) { return probe.message.find(words) != std::string::npos; });
}

bool cuda_error(const Facts& facts, int code, std::string_view words) {
  return facts.driver.init_code == code || said(facts, words);
}

std::string processes_text(std::vector<ProcessFacts> processes) {
  std::stable_sort(processes.begin(), processes.end(),
                   [](const ProcessFacts& a, const ProcessFacts& b) { return a.memory > b.memory; });
  constexpr std::size_t most = 5;
  std::vector<std::string> words;
  for (std::size_t i = 0; i < std::min(processes.size(), most); ++i) {
    const ProcessFacts& each = processes[i];
    const std::string name = each.name.empty() ? "process" : each.name;
    const std::string memory = each.memory > 0 ? size_text(each.memory) : "an unknown amount";
    words.push_back(fmt::format("{} {} holds {}", name, each.pid, memory));
  }
  if (processes.size() > most) words.push_back(fmt::format("and {} more", processes.size() - most));
  return fmt::format("{}", fmt::join(words, ", "));
}

std::string library_path(const Facts& facts) {
  const std::string* path = variable(facts, "LD_LIBRARY_PATH");
  return path && !path->empty() ? fmt::format(" (LD_LIBRARY_PATH={})", *path) : "";
}

int major_of(std::string_view version) {
  int major = 0;
  std::from_chars(version.data(), version.data() + version.size(), major);
  return major;
}

int compare_versions(std::string_view a, std::string_view b) {
  const auto next = [](std::string_view& version) {
    int number = 0;
    const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), number);
    version.remove_prefix(static_cast<std::size_t>(end - version.data()));
    if (version.starts_with('.')) version.remove_prefix(1);
    return error == std::errc() ? number : -1;
  };
  while (!a.empty() || !b.empty()) {
    const int left = next(a);
    const int right = next(b);
    if (left != right) return left < right ? -1 : 1;
    if (left < 0) return 0;  // no numbers any more
  }
  return 0;
}

std::string size_text(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(units); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, units[unit]);
}

const std::string* variable(const Facts& facts, const std::string& name) {
  const auto found = facts.environment.find(name);
  return found == facts.environment.end() ? nullptr : &found->second;
}

std::optional<int> wanted_index(const Needs& needs) {
  constexpr std::string_view prefix = "cuda:";
  if (!needs.device.starts_with(prefix)) return std::nullopt;
  int index = -1;
  const char* end = needs.device.data() + needs.device.size();
  const auto [stop, error] = std::from_chars(needs.device.data() + prefix.size(), end, index);
  if (error != std::errc() || stop != end || index < 0 || index > 1023) return std::nullopt;
  return index;
}

}  // namespace trainyard::rules
