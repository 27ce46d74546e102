#include "checkpoint/run_config.h"

#include "config/config_file.h"
#include "config/validate.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr const char* where = "checkpoint";

Config parsed(const Manifest& manifest, const std::filesystem::path& checkpoint) {
  try {
    Config config = config_from_toml(manifest.config, Manifest::file_name);
    validate(config);
    return config;
  } catch (const std::exception& error) {  // the parser throws its own types
    throw RunError(where, "{}: the configuration in its manifest cannot be used: {}", checkpoint.string(),
                   printable(error.what()));
  }
}

}  // namespace

Config config_of(const Manifest& manifest, const std::filesystem::path& checkpoint) {
  Config config = parsed(manifest, checkpoint);
  const auto contradicts = [&](std::string_view key, std::string_view value, std::string_view setting,
                               std::string_view configured) {
    throw RunError(where, "{}: its manifest contradicts itself: {} is {}, {} of its configuration is {}",
                   checkpoint.string(), key, printable(value), setting, printable(configured));
  };
  if (manifest.model != config.model.name) contradicts("model", manifest.model, "model.name", config.model.name);
  if (manifest.dataset != config.data.name) contradicts("dataset", manifest.dataset, "data.name", config.data.name);
  if (manifest.epoch > config.train.epochs || (manifest.epoch == config.train.epochs && manifest.batch > 0)) {
    contradicts("epoch", fmt::format("{} with {} batches of the next", manifest.epoch, manifest.batch), "train.epochs",
                fmt::format("{}", config.train.epochs));
  }
  return config;
}

Config read_config(const std::filesystem::path& checkpoint) { return config_of(read_manifest(checkpoint), checkpoint); }

}  // namespace trainyard
