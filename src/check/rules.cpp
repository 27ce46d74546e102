#include "check/rules.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "util/device_list.h"
#include "util/printable.h"

namespace trainyard::rules {

const CardFacts* card_of(const Facts& facts, const DeviceFacts& device) {
  for (const CardFacts& card : facts.driver.cards) {
    if (!device.pci.empty() && card.pci == device.pci) return &card;
  }
  return nullptr;
}

bool contains(std::string_view text, std::string_view words) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c; };
  const auto same = [&](char a, char b) { return lower(a) == lower(b); };
  return std::search(text.begin(), text.end(), words.begin(), words.end(), same) != text.end() || words.empty();
}

bool probe_message_contains(const Facts& facts, std::string_view words) {
  return std::any_of(facts.probes.begin(), facts.probes.end(), [&](const ProbeFacts& probe) {
    return probe.device != engine_device && contains(probe.message, words);
  });
}

bool engine_message_contains(const Facts& facts, std::string_view words) {
  return std::any_of(facts.probes.begin(), facts.probes.end(), [&](const ProbeFacts& probe) {
    return probe.device == engine_device && contains(probe.message, words);
  });
}

bool is_of_engine(std::string_view message) {
  // The programs' names, and phrases that no other program prints.
  constexpr const char* marks[] = {
      "nvidia-container-",
      "NVIDIA Container Runtime",
      "nvidia-ctk",
      "error response from daemon",
      "OCI runtime",
      "runc create failed",
      "CDI device",
      "GPU vendor from CDI",
      "could not select device driver",
      "runtime name: nvidia",
      "BPF_CGROUP_DEVICE",
      "unsatisfied condition:",
      "failed to set inheritable capabilities",
      "failed: /proc/driver",
      "failed to fulfil mount request",
  };
  return std::any_of(std::begin(marks), std::end(marks), [&](const char* mark) { return contains(message, mark); });
}

bool cuda_error(const Facts& facts, int code, std::string_view words) {
  return facts.driver.init_code == code || probe_message_contains(facts, words);
}

std::string quoted_message(std::string_view words) {
  constexpr std::size_t most = 300;
  return words.empty() ? "" : ": " + printable(words, most);
}

int gpu_nodes(const Facts& facts) {
  const auto is_gpu = [](const DeviceNode& node) {
    constexpr std::string_view prefix = "nvidia";
    const bool named = node.name.starts_with(prefix) && node.name.size() > prefix.size();
    return named && node.name.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
  };
  return static_cast<int>(std::count_if(facts.host.device_nodes.begin(), facts.host.device_nodes.end(), is_gpu));
}

bool gpu_on_host(const Facts& facts) {
  const auto& nodes = facts.host.device_nodes;
  const bool dxg = std::any_of(nodes.begin(), nodes.end(), [](const DeviceNode& node) { return node.name == "dxg"; });
  return !facts.host.nvidia_cards.empty() || !facts.host.kernel_module.empty() || dxg || gpu_nodes(facts) > 0 ||
         !facts.driver.cards.empty();
}

bool missed(const Facts& facts, const Needs& needs) {
  return facts.devices.empty() && (gpu_on_host(facts) || needs.device.starts_with("cuda"));
}

// "580.65.06" from "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Wed Jul ..."
std::string driver_version(const Facts& facts) {
  if (!facts.driver.version.empty()) return facts.driver.version;
  const std::string& line = facts.host.kernel_module;
  const std::size_t dot = line.find('.');
  if (dot == std::string::npos) return "";
  const std::size_t start = line.find_last_of(' ', dot) + 1;
  return line.substr(start, line.find(' ', dot) - start);
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
    if (left < 0) return 0;  // no more numbers
  }
  return 0;
}

const std::string* variable(const Facts& facts, const std::string& name) {
  const auto found = facts.environment.find(name);
  return found == facts.environment.end() ? nullptr : &found->second;
}

std::vector<int> listed_devices(const Needs& needs) { return device_list(needs.device).value_or(std::vector<int>()); }

bool is_wanted(const Needs& needs, int index) {
  const std::vector<int> listed = listed_devices(needs);
  return listed.empty() || std::find(listed.begin(), listed.end(), index) != listed.end();
}

}  // namespace trainyard::rules
