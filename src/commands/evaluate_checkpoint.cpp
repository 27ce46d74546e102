#include "commands/evaluate_checkpoint.h"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "datasets/splits.h"
#include "loader_torch/registered_memory.h"
#include "training/class_batch.h"
#include "training/precision.h"
#include "training/trained_model.h"
#include "util/printable.h"

namespace trainyard {
namespace {

using Json = nlohmann::ordered_json;

Json figure(const std::optional<double>& share) { return share ? Json(*share) : Json(nullptr); }

}  // namespace

Split judging_split(const WorkerPool& pool) {
  return pool.splits().size() > static_cast<std::size_t>(Split::test) ? Split::test : Split::val;
}

CheckpointEvaluation evaluate_checkpoint(const std::filesystem::path& checkpoint, WorkerPool& pool, Split split,
                                         const Config& config, at::Device device, std::size_t worst) {
  TrainedModel trained = load_trained_model(checkpoint, device);
  if (pool.splits().size() <= static_cast<std::size_t>(split)) {
    throw UsageError("data.name", "{} has no {} split; evaluate on val (eval --split val)", config.data.name,
                     to_string(split));
  }
  const SplitInfo& data = pool.splits()[static_cast<std::size_t>(split)];
  if (data.class_names != trained.manifest.class_names) {
    throw UsageError("data.name", "{} has other classes than the data that {} was trained on", config.data.name,
                     checkpoint.string());
  }
  const std::vector<std::int64_t>& shape = image_shape(trained.manifest, checkpoint.string());
  if (image_shape(data) != shape) {
    throw UsageError("data.name", "samples of {} are [{}], those that {} was trained on [{}]", config.data.name,
                     fmt::join(image_shape(data), ", "), checkpoint.string(), fmt::join(shape, ", "));
  }
  set_float32_arithmetic(config.train.precision);
  const RegisteredMemory registered(device.is_cuda() ? pool.memory() : std::span<std::byte>());
  DeviceLoader batches(pool, split, {}, device);
  ClassificationReport evaluation =
      classification_report(*trained.model, batches, trained.normalize, config.train.precision, worst);
  std::vector<std::string> names;
  if (!evaluation.worst.empty()) {
    const std::unique_ptr<Dataset> dataset = make_split(config.data, split).dataset;
    for (const Mistake& mistake : evaluation.worst) {
      names.push_back(printable(dataset->name(static_cast<std::size_t>(mistake.index)), 1024));
    }
  }
  return {.checkpoint = checkpoint,
          .manifest = std::move(trained.manifest),
          .dataset = config.data.name,
          .split = split,
          .device = device.str(),
          .precision = word(config.train.precision),
          .evaluation = std::move(evaluation),
          .worst_names = std::move(names)};
}

Json to_json(const CheckpointEvaluation& evaluated) {
  const ClassificationReport& e = evaluated.evaluation;
  const std::string split = to_string(evaluated.split);
  Json json = {{"checkpoint", evaluated.checkpoint.string()},
               {"step", evaluated.manifest.step},
               {"epoch", evaluated.manifest.epoch},
               {"model", evaluated.manifest.model},
               {"dataset", evaluated.dataset},
               {"split", split},
               {"device", evaluated.device},
               {"precision", evaluated.precision},
               {"samples", e.samples},
               {split + "/loss", e.loss},
               {split + "/accuracy", e.top1},
               {split + "/top5", e.top5},
               {"classes", Json::array()},
               {"confusion", Json::array()},
               {"worst", Json::array()}};
  const std::vector<ClassScores> scores = class_scores(e);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    json["classes"].push_back({{"name", evaluated.manifest.class_names[i]},
                               {"samples", scores[i].samples},
                               {"guesses", scores[i].guesses},
                               {"right", scores[i].right},
                               {"recall", figure(scores[i].recall)},
                               {"precision", figure(scores[i].precision)},
                               {"f1", figure(scores[i].f1)}});
  }
  for (const auto& [pair, count] : e.confusion) {
    json["confusion"].push_back({{"label", pair.first}, {"guess", pair.second}, {"samples", count}});
  }
  for (std::size_t i = 0; i < e.worst.size(); ++i) {
    const Mistake& mistake = e.worst[i];
    json["worst"].push_back({{"index", mistake.index},
                             {"name", evaluated.worst_names[i]},
                             {"label", mistake.label},
                             {"guess", mistake.guess},
                             {"guess_probability", mistake.guess_probability},
                             {"label_probability", mistake.label_probability}});
  }
  return json;
}

}  // namespace trainyard
