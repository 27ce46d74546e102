#include "commands/rank_facts.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "config/settings.h"
#include "datasets/fingerprint.h"
#include "util/system.h"

namespace trainyard {
namespace {

// Hosts may differ in these settings.
constexpr std::array<std::string_view, 9> settings_of_a_host = {"data.root",      "train.device",    "train.threads",
                                                                "loader.workers", "loader.prefetch", "run.dir",
                                                                "run.started_in", "run.name",        "run.resume"};

std::string fingerprint_of_program() {
  const Mapping program = Mapping::read_only_file("/proc/self/exe", "distributed");
  return fmt::format("program {:016x}", fingerprint(0, program.bytes()));
}

}  // namespace

std::vector<std::pair<std::string, std::string>> rank_facts(const Config& config,
                                                            const std::vector<SplitInfo>& splits) {
  std::vector<std::pair<std::string, std::string>> facts = {{"trainyard", fingerprint_of_program()}};
  Config copy = config;
  for (const Setting& setting : settings_in(copy)) {
    const bool own =
        std::find(settings_of_a_host.begin(), settings_of_a_host.end(), setting.key) != settings_of_a_host.end();
    if (setting.selected && !own) facts.emplace_back(setting.key, toml_value(value_of(setting.field)));
  }
  for (std::size_t i = 0; i < splits.size(); ++i) {
    facts.emplace_back(fmt::format("the fingerprint of {}", to_string(static_cast<Split>(i))),
                       fmt::format("{:016x}", splits[i].fingerprint));
  }
  return facts;
}

}  // namespace trainyard
