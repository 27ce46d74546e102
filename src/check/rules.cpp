#include "check/rules.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include <fmt/format.h>

namespace trainyard::rules {

const CardFacts* card_of(const Facts& facts, const DeviceFacts& device) {
  for (const CardFacts& card : facts.driver.cards) {
    if (!device.pci.empty() && card.pci == device.pci) return &card;
  }
  return nullptr;
}

bool cuda_error(const Facts& facts, int code, std::string_view words) {
  if (facts.driver.init_code == code) return true;
  return std::any_of(facts.probes.begin(), facts.probes.end(),
                     [&](const ProbeFacts& probe) { return probe.message.find(words) != std::string::npos; });
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
