/// Reads the losses that a run has logged.
#pragma once

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "util/system.h"

namespace trainyard {

/// Returns the loss and accuracy of every line of `run`/metrics.jsonl, as written.
inline std::vector<std::pair<double, double>> step_losses(const std::string& run) {
  std::vector<std::pair<double, double>> result;
  std::istringstream lines(read_text_file(run + "/metrics.jsonl", "test"));
  for (std::string line; std::getline(lines, line);) {
    const auto object = nlohmann::json::parse(line);
    result.emplace_back(object["train/loss"], object["train/accuracy"]);
  }
  return result;
}

}  // namespace trainyard
