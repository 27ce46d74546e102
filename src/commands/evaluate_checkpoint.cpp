#include "commands/evaluate_checkpoint.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "config/config_file.h"
#include "datasets/splits.h"
#include "loader_torch/registered_memory.h"
#include "training/precision.h"
#include "training/require_model_takes.h"
#include "training/trained_model.h"
#include "util/printable.h"

namespace trainyard {
namespace {

using Json = nlohmann::ordered_json;

// Requires that `data` has the fields that `trained` was made for.
void require_same_fields(const TrainedModel& trained, const std::vector<Field>& data, const std::string& dataset,
                         const std::filesystem::path& checkpoint) {
  const std::vector<Field>& fields = trained.manifest.fields;
  const auto has_other_columns = [&](const Field& field) {
    return find_field(data, field.name)->columns != field.columns;
  };
  require_model_takes(*trained.model, trained.config, task_data(trained.manifest), data, "samples of " + dataset);
  if (std::none_of(fields.begin(), fields.end(), has_other_columns)) return;
  throw UsageError("data.name",
                   "the columns of {} have other names, statistics or categories than those that {} was trained on: "
                   "evaluate it with the train split that it was trained on",
                   dataset, checkpoint.string());
}

}  // namespace

bool changes_evaluation(const std::string& key) {
  constexpr std::array sections = {"task.", "model.", "data.", "transform.", "loader."};
  constexpr std::array others = {"train.device", "train.precision", "train.threads", "train.deterministic"};
  return std::ranges::any_of(sections, [&](const char* section) { return key.starts_with(section); }) ||
         std::ranges::find(others, key) != others.end();
}

void require_trained_settings(const Config& trained, const Config& given) {
  for (const Difference& d : differences(trained, given)) {
    if (!d.key.starts_with("model.") && !d.key.starts_with("task.")) continue;
    throw UsageError(d.key, "is {}, and the checkpoint was trained with {}, which is used: leave the flag out", d.after,
                     d.before);
  }
}

Split judging_split(const WorkerPool& pool) {
  return pool.splits().size() > static_cast<std::size_t>(Split::test) ? Split::test : Split::val;
}

CheckpointEvaluation evaluate_checkpoint(const std::filesystem::path& checkpoint, WorkerPool& pool, Split split,
                                         const Config& config, at::Device device,
                                         const CheckpointEvaluationOptions& options) {
  TrainedModel trained = load_trained_model(checkpoint, device);
  require_trained_settings(trained.config, config);
  if (pool.splits().size() <= static_cast<std::size_t>(split)) {
    throw UsageError("data.name", "{} has no {} split; evaluate on val (eval --split val)", config.data.name,
                     to_string(split));
  }
  const SplitInfo& data = pool.splits()[static_cast<std::size_t>(split)];
  if (data.class_names != trained.manifest.class_names) {
    throw UsageError("data.name", "{} has other classes than the data that {} was trained on", config.data.name,
                     checkpoint.string());
  }
  require_same_fields(trained, data.fields, config.data.name, checkpoint);
  set_float32_arithmetic(config.train.precision);
  const RegisteredMemory registered(device.is_cuda() ? pool.memory() : std::span<std::byte>());
  DeviceLoader batches(pool, split, {.max_batches = options.max_batches}, device);
  const std::unique_ptr<Evaluation> evaluation = trained.task->evaluation(options.worst);
  if (!evaluation) {
    throw RunError("eval", "the task {} returns no evaluation: its evaluation() must make one", trained.manifest.task);
  }
  ProcessGroup alone;
  EvaluationStep step(*trained.model, *trained.task, config.train.precision, {.mirror = options.mirror});
  Scores scores = evaluate(step, batches, alone, {.evaluation = evaluation.get()}).value();
  Findings findings = evaluation->findings(*trained.model);
  std::vector<std::string> names;
  if (!findings.worst.empty()) {
    const std::unique_ptr<Dataset> dataset = make_split(config.data, split).dataset;
    for (const ShownSample& shown : findings.worst) {
      names.push_back(printable(dataset->name(shown.index), 1024));
    }
  }
  return {.checkpoint = checkpoint,
          .manifest = std::move(trained.manifest),
          .dataset = config.data.name,
          .split = split,
          .device = device.str(),
          .precision = word(config.train.precision),
          .monitor = trained.task->monitor(),
          .training_extras = trained.task->training_extras(),
          .mirror = options.mirror,
          .scores = std::move(scores),
          .findings = std::move(findings),
          .worst_names = std::move(names)};
}

Json to_json(const CheckpointEvaluation& evaluated) {
  const Findings& findings = evaluated.findings;
  const std::string split = to_string(evaluated.split);
  Json json = {{"checkpoint", evaluated.checkpoint.string()},
               {"step", evaluated.manifest.step},
               {"epoch", evaluated.manifest.epoch},
               {"task", evaluated.manifest.task},
               {"model", evaluated.manifest.model},
               {"dataset", evaluated.dataset},
               {"split", split},
               {"device", evaluated.device},
               {"precision", evaluated.precision},
               {"mirror", evaluated.mirror},
               {"samples", evaluated.scores.samples},
               {"monitor", evaluated.monitor.metric},
               {"higher_is_better", evaluated.monitor.higher_is_better},
               {"training_extras", evaluated.training_extras},
               {"metrics", Json::array()}};
  for (const auto& [name, value] : evaluated.scores.values) {
    json["metrics"].push_back(name);
    json[fmt::format("{}/{}", split, name)] = value ? Json(*value) : Json();
  }
  if (!findings.classes.empty()) json["classes"] = findings.classes;
  if (!findings.confusion.empty()) json["confusion"] = findings.confusion;
  if (!findings.targets.empty()) json["targets"] = findings.targets;
  if (!findings.ranked_by.empty()) json["ranked_by"] = findings.ranked_by;
  json["unit"] = findings.unit;
  json["worst_title"] = findings.worst_title;
  json["worst"] = Json::array();
  for (std::size_t i = 0; i < findings.worst.size(); ++i) {
    const ShownSample& shown = findings.worst[i];
    Json one = {{"index", shown.index}, {"name", evaluated.worst_names[i]}, {"caption", shown.caption}};
    one.update(shown.figures);
    json["worst"].push_back(std::move(one));
  }
  if (!findings.texts.empty()) json["texts"] = findings.texts;
  return json;
}

}  // namespace trainyard
