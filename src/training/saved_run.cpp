#include "training/saved_run.h"

#include "config/config_file.h"
#include "util/size_text.h"

namespace trainyard {
namespace {

std::vector<std::int64_t> image_size_of(const std::vector<Field>& fields) {
  const Field* const image = find_field(fields, "image");
  if (image == nullptr || !image->has_pixels()) return {};
  return {image->shape[0], image->shape[1]};
}

}  // namespace

Manifest manifest_of(const Config& config, const std::vector<SplitInfo>& splits, const Monitor& monitor) {
  const SplitInfo& train = splits.at(static_cast<std::size_t>(Split::train));
  const SplitInfo& val = splits.at(static_cast<std::size_t>(Split::val));
  const auto samples = static_cast<std::int64_t>(val.size);
  Manifest manifest;
  manifest.task = config.task.name;
  manifest.model = config.model.name;
  manifest.dataset = config.data.name;
  manifest.dataset_fingerprint = train.fingerprint;
  manifest.class_names = train.class_names;
  manifest.class_counts = train.class_counts;
  manifest.fields = train.fields;
  manifest.channel_mean = train.channel_mean;
  manifest.channel_std = train.channel_std;
  manifest.val = {.samples = samples,
                  .share = static_cast<double>(samples) / static_cast<double>(train.size + val.size),
                  .from_train = val.from_train,
                  .fingerprint = val.fingerprint,
                  .image_size = image_size_of(val.fields)};
  manifest.best.monitor = "val/" + monitor.metric;
  manifest.config = to_toml(config);
  return manifest;
}

std::int64_t saves_of(const Config& config, const RunPlan& plan) {
  const std::int64_t every = config.checkpoint.every_steps;
  return config.train.epochs + (every > 0 ? plan.steps() / every : 0);
}

SavingProof prove_saving_of(const Config& config, const std::vector<SplitInfo>& splits, const Monitor& monitor,
                            const Model& model, const Optimizer& optimizer, const std::filesystem::path& checkpoints) {
  require_readable(config);
  Checkpoint contents{.manifest = manifest_of(config, splits, monitor),
                      .model = model.state_dict(),
                      .ema = {},
                      .state = optimizer.state()};
  if (config.train.ema_decay > 0) contents.ema = contents.model;
  const std::int64_t batch_size = config.loader.batch_size;
  const RunPlan plan(config.train, (static_cast<std::int64_t>(splits.front().size) + batch_size - 1) / batch_size);
  return prove_saving(checkpoints, contents, config.checkpoint, saves_of(config, plan));
}

void require_readable(const Config& config) {
  for (const Difference& d : differences(config_from_toml(to_toml(config), "the saved configuration"), config)) {
    throw UsageError(d.key, "{} would be read back from the run's config.toml as {}; choose another value", d.after,
                     d.before);
  }
}

std::string described(const SavingProof& proof) {
  return fmt::format("{} each, at most {} at once: {}; {} are free", size_text(proof.checkpoint),
                     proof.at_once / proof.checkpoint, size_text(proof.at_once), size_text(proof.free));
}

}  // namespace trainyard
