#include "models/freeze.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "models/stages.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/nearest.h"
#include "util/printable.h"

namespace trainyard {
namespace {

// All names allowed in model.freeze: stages, modules and parameters.
std::vector<std::string> known_names(const Model& model, const std::vector<Stage>& stages) {
  std::vector<std::string> known;
  const auto add = [&](const std::string& name) {
    if (std::find(known.begin(), known.end(), name) == known.end()) known.push_back(name);
  };
  for (const Stage& stage : stages) add(stage.name);
  for (const auto& [name, parameter] : model.named_parameters()) {
    for (std::size_t end = name.find('.'); end != std::string::npos; end = name.find('.', end + 1)) {
      add(name.substr(0, end));
    }
    add(name);
  }
  return known;
}

void freeze_stages(const NamedTensors& parameters, const std::vector<Stage>& stages, std::size_t count) {
  if (count >= stages.size()) {
    throw UsageError("model.freeze_stages", "is {}, but the model has {}, of which one has to be trained: {}", count,
                     count_of(stages.size(), "stage"), names_of(stages));
  }
  for (const auto& [name, parameter] : parameters) {
    if (stage_of(stages, name) < count) parameter.set_requires_grad(false);
  }
}

void freeze_named(const Model& model, const std::vector<Stage>& stages, const std::string& wanted) {
  const auto stage = std::find_if(stages.begin(), stages.end(), [&](const Stage& s) { return s.name == wanted; });
  bool found = false;
  for (const auto& [name, parameter] : model.named_parameters()) {
    const bool is_meant = stage == stages.end()
                              ? begins_with(name, wanted)
                              : stage_of(stages, name) == static_cast<std::size_t>(stage - stages.begin());
    if (!is_meant) continue;
    parameter.set_requires_grad(false);
    found = true;
  }
  if (found) return;
  throw UsageError(
      "model.freeze",
      "'{}' is not a stage of the model, and no parameter's name begins with it; nearest: {}. The stages: {}",
      printable(wanted, 100), nearest_first(wanted, known_names(model, stages)).front(), names_of(stages));
}

}  // namespace

void freeze(Model& model, const ModelConfig& config) {
  const std::vector<Stage> stages = model.stages();
  const NamedTensors parameters = model.named_parameters();
  if (config.freeze_stages > 0) freeze_stages(parameters, stages, static_cast<std::size_t>(config.freeze_stages));
  for (const std::string& name : config.freeze) freeze_named(model, stages, name);
  if (std::none_of(parameters.begin(), parameters.end(),
                   [](const auto& entry) { return entry.second.requires_grad(); })) {
    throw UsageError("model.freeze", "all {} parameters of the model are frozen: leave something to train",
                     parameter_count(model));
  }
  model.train(model.is_training());
}

std::string describe_frozen(const Model& model) {
  const std::vector<Stage> stages = model.stages();
  std::vector<bool> is_frozen(stages.size(), true);
  std::int64_t count = 0;
  for (const auto& [name, parameter] : model.named_parameters()) {
    if (parameter.requires_grad()) {
      is_frozen[stage_of(stages, name)] = false;
    } else {
      count += parameter.numel();
    }
  }
  if (count == 0) return "";
  std::vector<Stage> frozen;
  for (std::size_t i = 0; i < stages.size(); ++i) {
    if (is_frozen[i]) frozen.push_back(stages[i]);
  }
  return fmt::format("{} of {}{}, {} of {}", frozen.size(), count_of(stages.size(), "stage"),
                     frozen.empty() ? "" : " (" + names_of(frozen) + ")", count,
                     count_of(parameter_count(model), "parameter"));
}

}  // namespace trainyard
