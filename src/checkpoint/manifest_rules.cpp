#include "checkpoint/manifest_rules.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>

#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr const char* where = "checkpoint";
constexpr std::size_t most_classes = std::size_t{1} << 24;
constexpr std::size_t most_text = 1024;
constexpr std::size_t most_config = std::size_t{1} << 20;
constexpr std::int64_t most_elements = std::int64_t{1} << 31;

struct Range {
  std::string_view name;
  double least;
  double most;
  bool whole;
  bool required = true;  ///< false: older checkpoints lack it
};

// Every scalar that a manifest has.
constexpr std::array scalars = {
    Range{"batch", 0, static_cast<double>(most_count), true},
    Range{"best_accuracy", 0, 1, false},
    Range{"best_loss", -HUGE_VAL, HUGE_VAL, false, /*required=*/false},
    Range{"best_epoch", 0, static_cast<double>(most_count), true},
    Range{"window_seconds", 0, DBL_MAX, false, /*required=*/false},
    Range{"window_waited", 0, DBL_MAX, false, /*required=*/false},
};

template <typename... Args>
[[noreturn]] void refuse(std::string_view path, fmt::format_string<Args...> format, Args&&... args) {
  throw RunError(where, "{}: {}", path, fmt::format(format, std::forward<Args>(args)...));
}

bool is_in(const Range& range, double value) {
  return value >= range.least && value <= range.most && (!range.whole || value == std::floor(value));
}

void check_scalars(const Manifest& manifest, std::string_view path) {
  for (const Range& range : scalars) {
    const auto found = manifest.scalars.find(std::string(range.name));
    if (found == manifest.scalars.end()) {
      if (!range.required) continue;
      refuse(path, "the scalar '{}' is missing", range.name);
    }
    if (!is_in(range, found->second)) {
      refuse(path, "the scalar '{}' is {}; allowed: {}numbers from {} to {}", range.name, found->second,
             range.whole ? "whole " : "", range.least, range.most);
    }
  }
  for (const auto& [name, value] : manifest.scalars) {
    const bool known = std::any_of(scalars.begin(), scalars.end(), [&](const Range& r) { return r.name == name; });
    if (!known) refuse(path, "the scalar '{}' is unknown; was it written by another version?", printable(name));
  }
}

void check_progress(const Manifest& manifest, std::string_view path) {
  const auto batch = static_cast<std::int64_t>(manifest.scalars.at("batch"));
  const auto best_epoch = static_cast<std::int64_t>(manifest.scalars.at("best_epoch"));
  for (const auto& [key, value] : {std::pair{"step", manifest.step}, std::pair{"epoch", manifest.epoch}}) {
    if (value < 0 || value > most_count) refuse(path, "'{}' is {}; allowed: 0 to {}", key, value, most_count);
  }
  const std::int64_t least_steps = manifest.epoch + (batch > 0 ? 1 : 0);  // every epoch has a step
  if (manifest.step < least_steps) {
    refuse(path, "'step' is {}; {} epochs and {} batches take at least {}", manifest.step, manifest.epoch, batch,
           least_steps);
  }
  if (best_epoch > manifest.epoch) {
    refuse(path, "the scalar 'best_epoch' is {}, of {} epochs that are done", best_epoch, manifest.epoch);
  }
}

void check_text(std::string_view key, const std::string& text, std::size_t most, std::string_view path) {
  if (text.empty() || text.size() > most) {
    refuse(path, "'{}' has {} bytes; allowed: 1 to {}", key, text.size(), most);
  }
}

void check_data(const Manifest& manifest, std::string_view path) {
  const std::vector<std::int64_t>& shape = manifest.sample_shape;
  if (shape.size() != 3) refuse(path, "'sample_shape' has {} values; allowed: height, width, channels", shape.size());
  std::int64_t elements = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 1 || extent > most_elements / elements) {
      refuse(path, "'sample_shape' has an extent of {}; allowed: from 1, in all at most {} elements", extent,
             most_elements);
    }
    elements *= extent;
  }
  const auto channels = static_cast<std::size_t>(shape[2]);
  for (const auto& [key, values] :
       {std::pair{"channel_mean", &manifest.channel_mean}, std::pair{"channel_std", &manifest.channel_std}}) {
    if (values->size() != channels) refuse(path, "'{}' has {} values for {} channels", key, values->size(), channels);
    for (const float value : *values) {
      if (!std::isfinite(value)) refuse(path, "'{}' holds {}; allowed: finite numbers", key, value);
    }
  }
  for (const float value : manifest.channel_std) {
    if (value < FLT_MIN)
      refuse(path, "'channel_std' holds {}; allowed: numbers over 0, as inputs are divided by them", value);
  }
  const std::size_t classes = manifest.class_names.size();
  if (classes < 1 || classes > most_classes) {
    refuse(path, "'class_names' has {} names; allowed: 1 to {}", classes, most_classes);
  }
}

}  // namespace

void check_manifest(const Manifest& manifest, std::string_view path) {
  check_scalars(manifest, path);
  check_progress(manifest, path);
  check_text("model", manifest.model, most_text, path);
  check_text("dataset", manifest.dataset, most_text, path);
  check_text("config", manifest.config, most_config, path);
  check_data(manifest, path);
}

}  // namespace trainyard
