#include "checkpoint/manifest_rules.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/ranges.h>

#include "util/count_of.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr const char* where = "checkpoint";
constexpr std::size_t max_classes = std::size_t{1} << 24;
constexpr std::size_t max_text = 1024;
constexpr std::size_t max_config = std::size_t{1} << 20;
constexpr std::size_t max_field_entries = 64;
constexpr std::size_t max_extents = 8;
constexpr std::int64_t max_elements = std::int64_t{1} << 31;
constexpr std::size_t max_metrics = 1024;
constexpr std::int64_t max_signal = 64;

template <typename... Args>
[[noreturn]] void refuse(std::string_view path, fmt::format_string<Args...> format, Args&&... args) {
  throw RunError(where, "{}: {}", path, fmt::format(format, std::forward<Args>(args)...));
}

void check_count(std::string_view key, std::int64_t value, std::int64_t least, std::int64_t most,
                 std::string_view path) {
  if (value < least || value > most) refuse(path, "'{}' is {}; allowed: {} to {}", key, value, least, most);
}

void check_progress(const Manifest& manifest, std::string_view path) {
  check_count("step", manifest.step, 0, max_count, path);
  check_count("epoch", manifest.epoch, 0, max_count, path);
  check_count("batch", manifest.batch, 0, max_count, path);
  const std::int64_t least_steps = manifest.epoch + (manifest.batch > 0 ? 1 : 0);  // every epoch has a step
  if (manifest.step < least_steps) {
    refuse(path, "'step' is {}; {} epochs and {} batches take at least {}", manifest.step, manifest.epoch,
           manifest.batch, least_steps);
  }
  const bool by_signal = manifest.ended == RunEnd::signal;
  if (by_signal != (manifest.signal != 0) || manifest.signal < 0 || manifest.signal > max_signal) {
    refuse(path, "'signal' is {} of a run that is '{}'; allowed: 1 to {} if a signal ended it, otherwise 0",
           manifest.signal, to_string(manifest.ended), max_signal);
  }
}

void check_text(std::string_view key, const std::string& text, std::size_t most, std::string_view path) {
  if (text.empty() || text.size() > most) {
    refuse(path, "'{}' has {} bytes; allowed: 1 to {}", key, text.size(), most);
  }
}

void check_metrics(std::string_view key, const NamedNumbers& metrics, std::string_view path) {
  if (metrics.size() > max_metrics) {
    refuse(path, "'{}' has {} numbers; allowed: at most {}", key, metrics.size(), max_metrics);
  }
  for (const auto& [name, value] : metrics) check_text("the name of a metric", name, max_text, path);
}

void check_best(const Manifest& manifest, std::string_view path) {
  const BestEpoch& best = manifest.best;
  check_metrics("best", best.metrics, path);
  check_text("monitor", best.monitor, max_text, path);
  if (best.epoch < 0 || best.epoch > manifest.epoch) {
    refuse(path, "the best epoch is {}, of {} epochs that are done", best.epoch, manifest.epoch);
  }
  if (best.epoch == 0 ? !best.metrics.empty() : !best.metrics.contains(best.monitor)) {
    refuse(path, "the best epoch is {}, and '{}' is {}among its metrics", best.epoch, printable(best.monitor),
           best.metrics.contains(best.monitor) ? "" : "not ");
  }
}

void check_history(const Manifest& manifest, std::string_view path) {
  if (std::cmp_less_equal(manifest.history.size(), manifest.epoch)) return;
  refuse(path, "'history' has {} for {}", count_of(manifest.history.size(), "number"),
         count_of(manifest.epoch, "epoch"));
}

void check_window(const MetricsWindow& window, std::string_view path) {
  for (const auto& [key, value] : {std::pair{"seconds", window.seconds}, std::pair{"waited", window.waited}}) {
    if (!(value >= 0 && value <= DBL_MAX)) {
      refuse(path, "'{}' of the window is {}; allowed: finite numbers from 0", key, value);
    }
  }
}

void check_field(const Field& field, std::string_view path) {
  check_text("the name of a field", field.name, max_text, path);
  if (field.values && (field.values->count < 1 || is_floating_point(field.dtype))) {
    refuse(path, "the field '{}' of {} has {} values; allowed: from 1, of integers", printable(field.name),
           to_string(field.dtype), field.values->count);
  }
  if (field.shape.size() > max_extents || (field.varies && field.shape.empty())) {
    refuse(path, "the field '{}' has {} extents; allowed: at most {}, and one if it varies", printable(field.name),
           field.shape.size(), max_extents);
  }
  std::int64_t elements = 1;
  for (const std::int64_t extent : field.shape) {
    if (extent < 1 || extent > max_elements / elements) {
      refuse(path, "the field '{}' has an extent of {}; allowed: from 1, in all at most {} elements",
             printable(field.name), extent, max_elements);
    }
    elements *= extent;
  }
  if (const std::string_view flaw = columns_error(field); !flaw.empty()) {
    refuse(path, "the field '{}' {}", printable(field.name), flaw);
  }
}

void check_fields(const std::vector<Field>& fields, std::string_view path) {
  if (fields.empty() || fields.size() > max_field_entries) {
    refuse(path, "'fields' has {} fields; allowed: 1 to {}", fields.size(), max_field_entries);
  }
  std::set<std::string> names;
  for (const Field& field : fields) {
    check_field(field, path);
    if (!names.insert(field.name).second) refuse(path, "the field '{}' is there twice", printable(field.name));
  }
}

void check_val(const Manifest& manifest, std::string_view path) {
  const ValSplit& val = manifest.val;
  check_count("val/samples", val.samples, 1, max_count, path);
  if (!(val.share > 0 && val.share < 1)) {
    refuse(path, "'val/share' is {}; allowed: numbers between 0 and 1", val.share);
  }
  if (val.image_size.empty()) return;
  const Field* const image = find_field(manifest.fields, "image");
  if (image == nullptr || val.image_size.size() != 2) {
    refuse(path, "'val/image_size' has {}; allowed: height and width, of images",
           count_of(val.image_size.size(), "number"));
  }
  Field of_val = *image;
  std::copy(val.image_size.begin(), val.image_size.end(), of_val.shape.begin());
  check_field(of_val, path);
}

// Either both or neither of mean and deviation are known.
void check_channels(const Manifest& manifest, std::string_view path) {
  const Field* const image = find_field(manifest.fields, "image");
  if (image != nullptr && image->shape.size() != 3) {
    refuse(path, "the field 'image' has {} extents; allowed: height, width, channels", image->shape.size());
  }
  const std::size_t channels = image == nullptr ? 0 : static_cast<std::size_t>(image->shape[2]);
  const bool known = !manifest.channel_mean.empty() || !manifest.channel_std.empty();
  for (const auto& [key, values] :
       {std::pair{"channel_mean", &manifest.channel_mean}, std::pair{"channel_std", &manifest.channel_std}}) {
    if (values->size() != (known ? channels : 0)) {
      refuse(path, "'{}' has {} for {}", key, count_of(values->size(), "value"), count_of(channels, "channel"));
    }
    for (const float value : *values) {
      if (!std::isfinite(value)) refuse(path, "'{}' holds {}; allowed: finite numbers", key, value);
    }
  }
  for (const float value : manifest.channel_std) {
    if (value >= FLT_MIN) continue;
    refuse(path, "'channel_std' holds {}; allowed: numbers over 0, as inputs are divided by them", value);
  }
}

void check_classes(const Manifest& manifest, std::string_view path) {
  const std::size_t classes = manifest.class_names.size();
  if (classes > max_classes) refuse(path, "'class_names' has {} names; allowed: 0 to {}", classes, max_classes);
  const std::size_t counts = manifest.class_counts.size();
  if (counts != 0 && counts != classes) {
    refuse(path, "'class_counts' has {} for {}", count_of(counts, "number"), count_of(classes, "class", "classes"));
  }
}

}  // namespace

void check_manifest(const Manifest& manifest, std::string_view path) {
  check_progress(manifest, path);
  check_text("task", manifest.task, max_text, path);
  check_text("model", manifest.model, max_text, path);
  check_text("dataset", manifest.dataset, max_text, path);
  check_text("config", manifest.config, max_config, path);
  check_fields(manifest.fields, path);
  check_channels(manifest, path);
  check_classes(manifest, path);
  check_val(manifest, path);
  check_best(manifest, path);
  check_history(manifest, path);
  check_window(manifest.window, path);
}

}  // namespace trainyard
