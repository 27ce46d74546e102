#include "config/validate.h"

#include <climits>
#include <cmath>

#include "config/component.h"
#include "config/settings.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

void validate_run(const RunConfig& run) {
  if (run.dir.empty()) throw UsageError("run.dir", "is empty; the current folder is '.'");
  const std::string& name = run.name;
  if (name == "." || name == ".." || name.find('/') != std::string::npos || name.size() > NAME_MAX ||
      printable(name) != name) {
    throw UsageError("run.name",
                     "'{}' must be one folder's name, of {} bytes at most and without control characters; its parent "
                     "is run.dir",
                     printable(name), NAME_MAX);
  }
  if (name == RunConfig::trials) {
    throw UsageError("run.name", "'{}' is the folder of trial runs, e.g. of --train.fast_dev_run; choose another name",
                     name);
  }
}

void validate_length(const TrainConfig& train) {
  constexpr std::int64_t most_batches = std::int64_t{1} << 53;  // as many as a double counts exactly
  if (train.steps_per_epoch <= most_batches / train.epochs / train.accumulate) return;
  throw UsageError(
      "train.steps_per_epoch", "is {}: {} of as many steps, of {} each, are more than 2^53 batches; lower it",
      train.steps_per_epoch, count_of(train.epochs, "epoch"), count_of(train.accumulate, "batch", "batches"));
}

void validate_clipping(const TrainConfig& train) {
  if (train.clip_grad_norm == 0 || train.clip_grad_value == 0) return;
  throw UsageError("train.clip_grad_value", "is {}, and train.clip_grad_norm is {}; set one of them to 0",
                   train.clip_grad_value, train.clip_grad_norm);
}

// Validates the components that the configuration uses.
void validate_components(const Config& config) {
  const auto validate_in = [](const char* section, const auto& part) {
    for (const Component* const component : components_of(section)) {
      if (component->is_used_by(part.name)) component->validate(part.components);
    }
  };
  validate_in("task", config.task);
  validate_in("model", config.model);
  validate_in("data", config.data);
  validate_in("optimizer", config.optimizer);
  validate_in("schedule", config.schedule);
}

}  // namespace

void validate_values(const Config& config) {
  Config copy = config;
  for (const Setting& setting : settings_in(copy)) {
    if (const std::string wrong = assign(setting.field, setting.allowed, value_of(setting.field)); !wrong.empty()) {
      throw UsageError(setting.key, "{}", wrong);
    }
  }
}

void validate(const Config& config) {
  validate_values(config);
  validate_run(config.run);
  if (config.data.val >= 1 && config.data.val != std::floor(config.data.val)) {
    throw UsageError("data.val", "is {}; from 1 on it is a number of samples, and must be whole", config.data.val);
  }
  if (config.schedule.warmup_epochs >= config.train.epochs) {
    throw UsageError("schedule.warmup_epochs", "is {}, but the whole run has {} (train.epochs)",
                     config.schedule.warmup_epochs, count_of(config.train.epochs, "epoch"));
  }
  validate_clipping(config.train);
  validate_length(config.train);
  validate_components(config);
}

}  // namespace trainyard
