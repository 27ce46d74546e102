#include "models/stages.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "util/error.h"

namespace trainyard {

bool begins_with(const std::string& parameter, const std::string& prefix) {
  return parameter.starts_with(prefix) && (parameter.size() == prefix.size() || parameter[prefix.size()] == '.');
}

std::size_t stage_of(const std::vector<Stage>& stages, const std::string& parameter) {
  const auto owns = [&](const Stage& stage) {
    return std::any_of(stage.prefixes.begin(), stage.prefixes.end(),
                       [&](const std::string& prefix) { return begins_with(parameter, prefix); });
  };
  const auto first = std::find_if(stages.begin(), stages.end(), owns);
  const auto owners = std::count_if(stages.begin(), stages.end(), owns);
  if (owners == 1) return static_cast<std::size_t>(first - stages.begin());
  throw RunError("model", "the parameter '{}' is of {} stages of the model, {}: name it in exactly one of stages()",
                 parameter, owners, names_of(stages));
}

std::string names_of(const std::vector<Stage>& stages) {
  std::vector<std::string> names;
  for (const Stage& stage : stages) names.push_back(stage.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace trainyard
