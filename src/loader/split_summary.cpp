#include "loader/split_summary.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "datasets/class_counts.h"
#include "util/count_of.h"
#include "util/printable.h"

namespace trainyard {
namespace {

using Json = nlohmann::ordered_json;

std::string named(const SplitInfo& split, std::vector<std::uint64_t>::const_iterator count) {
  const auto label = static_cast<std::size_t>(count - split.class_counts.begin());
  return fmt::format("{} ({})", *count, printable(split.class_names[label]));
}

Json to_json(const Field& field) {
  Json json = {{"name", field.name},
               {"dtype", to_string(field.dtype)},
               {"shape", field.shape},
               {"varies", field.varies},
               {"stored_image", field.is_stored_image}};
  if (field.values) json["values"] = field.values->count;
  if (field.values && field.values->ignored) json["ignored"] = *field.values->ignored;
  return json;
}

}  // namespace

std::string summary_of(const SplitInfo& split) {
  std::string line = split.class_names.empty()
                         ? fmt::format("{}: {}", count_of(split.size, "sample"), describe(split.fields))
                         : fmt::format("{} of {}", count_of(split.size, "sample"),
                                       count_of(split.class_names.size(), "class", "classes"));
  if (split.class_counts.size() > 1) {
    const auto [fewest, most] = std::minmax_element(split.class_counts.begin(), split.class_counts.end());
    line += *fewest == *most ? fmt::format(", {} each", *most)
                             : fmt::format(", from {} to {}", named(split, fewest), named(split, most));
  }
  if (split.from_train) line += ", taken out of train (data.val)";
  return line;
}

std::string sampling_of(const SplitInfo& train) {
  const SamplesByClass& by_class = train.by_class;
  if (by_class.empty()) return "";
  const double each = static_cast<double>(train.size) / static_cast<double>(by_class.classes());
  std::uint64_t rarest = 0;
  std::uint64_t commonest = 0;
  for (std::uint64_t i = 1; i < by_class.classes(); ++i) {
    if (by_class.samples_of(i).size() < by_class.samples_of(rarest).size()) rarest = i;
    if (by_class.samples_of(i).size() > by_class.samples_of(commonest).size()) commonest = i;
  }
  const auto sample_of = [&](std::uint64_t place) {
    const std::uint64_t label = by_class.labels()[place];
    return fmt::format("of {} {:.2f} times",
                       label < train.class_names.size() ? printable(train.class_names[label]) : std::to_string(label),
                       each / static_cast<double>(by_class.samples_of(place).size()));
  };
  return fmt::format(
      "balanced sampling: with replacement, each of {} classes about {:.0f} times per epoch: a sample {}, "
      "one {}",
      by_class.classes(), each, sample_of(rarest), sample_of(commonest));
}

std::vector<std::string> warnings_about(const std::string& name, const SplitInfo& split) {
  std::vector<std::string> lines;
  if (const std::string left_out = list_left_out(split.left_out); !left_out.empty()) {
    lines.push_back(fmt::format("[data] {}: left out: {}", name, left_out));
  }
  const std::string empty = classes_without_samples(split.class_counts, split.class_names);
  if (!empty.empty()) lines.push_back(fmt::format("[data] {}: {}", name, empty));
  if (!split.warning.empty()) lines.push_back(fmt::format("[data] {}: {}", name, split.warning));
  return lines;
}

std::vector<std::string> warnings_about(std::span<const Field> fields) {
  std::vector<std::string> lines;
  for (const Field& field : fields) {
    if (!field.has_pixels()) continue;
    const std::int64_t first = field.shape[0];
    const std::int64_t last = field.shape[2];
    if ((first != 1 && first != 3 && first != 4) || last <= 4) continue;
    lines.push_back(
        fmt::format("[data] {} is read as height x width x channels, i.e. as {} x {} pixels of {} channels: if {} is "
                    "the number of channels, the dataset must return {} x {} x {}",
                    describe({&field, 1}), first, field.shape[1], last, first, field.shape[1], last, first));
  }
  return lines;
}

std::vector<std::string> warnings_about(const DataConfig& config, std::span<const SplitInfo> splits) {
  const DataConfig defaults;
  const bool is_default = config.val == defaults.val && config.val_seed == defaults.val_seed;
  if (is_default || splits[static_cast<std::size_t>(Split::val)].from_train) return {};
  return {fmt::format("[data] data.val = {} and data.val_seed = {} have no effect: the data has its own val split",
                      config.val, config.val_seed)};
}

std::string note_on_test(std::span<const SplitInfo> splits) {
  if (splits.size() > static_cast<std::size_t>(Split::test)) return "";
  return "none: results are those on val, which the best checkpoint is chosen by";
}

Json to_json(std::span<const SplitInfo> splits) {
  Json json = {{"splits", Json::array()}};
  for (std::size_t i = 0; i < splits.size(); ++i) {
    const SplitInfo& split = splits[i];
    Json one = {{"name", to_string(static_cast<Split>(i))},
                {"samples", split.size},
                {"from_train", split.from_train},
                {"fields", Json::array()},
                {"classes", Json::array()},
                {"left_out", Json::array()}};
    for (const Field& field : split.fields) one["fields"].push_back(to_json(field));
    for (std::size_t label = 0; label < split.class_names.size(); ++label) {
      one["classes"].push_back({{"name", split.class_names[label]},
                                {"samples", split.class_counts.empty() ? Json() : Json(split.class_counts[label])}});
    }
    for (const LeftOut& left_out : split.left_out) {
      Json first = Json::array();
      for (const std::string& name : left_out.first) first.push_back(printable(name));
      one["left_out"].push_back({{"reason", left_out.reason}, {"count", left_out.count}, {"first", first}});
    }
    json["splits"].push_back(std::move(one));
  }
  return json;
}

}  // namespace trainyard
