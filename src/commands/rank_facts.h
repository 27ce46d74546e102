/// Lists what the ranks of a run compare before training.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "loader/split.h"

namespace trainyard {

/// The program, the settings that all ranks must share, and the fingerprints of the data, each with its name.
std::vector<std::pair<std::string, std::string>> rank_facts(const Config& config, const std::vector<SplitInfo>& splits);

}  // namespace trainyard
