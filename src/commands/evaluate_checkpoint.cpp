#include "commands/evaluate_checkpoint.h"

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "training/precision.h"
#include "training/trained_model.h"
#include "util/printable.h"

namespace trainyard {
namespace {

using Json = nlohmann::ordered_json;

Json figure(const std::optional<double>& share) { return share ? Json(*share) : Json(nullptr); }

}  // namespace

CheckpointEvaluation evaluate_checkpoint(const std::filesystem::path& checkpoint, WorkerPool& pool,
                                         const Config& config, at::Device device, std::size_t worst) {
  TrainedModel trained = load_trained_model(checkpoint, device);
  const SplitInfo& data = pool.splits().at(static_cast<std::size_t>(Split::test));
  if (data.class_names != trained.manifest.class_names) {
    throw UsageError("data.name", "{} has other classes than the data that {} was trained on", config.data.name,
                     checkpoint.string());
  }
  if (data.sample.shape != trained.manifest.sample_shape) {
    throw UsageError("data.name", "samples of {} are [{}], those that {} was trained on [{}]", config.data.name,
                     fmt::join(data.sample.shape, ", "), checkpoint.string(),
                     fmt::join(trained.manifest.sample_shape, ", "));
  }
  set_float32_arithmetic(config.train.precision);
  const RegisteredMemory registered(device.is_cuda() ? pool.memory() : std::span<std::byte>());
  DeviceLoader batches(pool, Split::test, {}, trained.normalize, device);
  ClassificationReport evaluation = classification_report(*trained.model, batches, config.train.precision, worst);
  std::vector<std::string> names;
  if (!evaluation.worst.empty()) {
    const std::unique_ptr<Dataset> dataset = make_dataset(config.data, Split::test);
    for (const Mistake& mistake : evaluation.worst) {
      names.push_back(printable(dataset->name(static_cast<std::size_t>(mistake.index)), 1024));
    }
  }
  return {.checkpoint = checkpoint,
          .manifest = std::move(trained.manifest),
          .dataset = config.data.name,
          .device = device.str(),
          .precision = config.train.precision,
          .evaluation = std::move(evaluation),
          .worst_names = std::move(names)};
}

Json to_json(const CheckpointEvaluation& evaluated) {
  const ClassificationReport& e = evaluated.evaluation;
  Json json = {{"checkpoint", evaluated.checkpoint.string()},
               {"step", evaluated.manifest.step},
               {"epoch", evaluated.manifest.epoch},
               {"model", evaluated.manifest.model},
               {"dataset", evaluated.dataset},
               {"device", evaluated.device},
               {"precision", evaluated.precision},
               {"samples", e.samples},
               {"loss", e.loss},
               {"top1", e.top1},
               {"top5", e.top5},
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
