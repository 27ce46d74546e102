#include "checkpoint/manifest.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <span>
#include <sstream>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/foreign_format.h"
#include "checkpoint/manifest_rules.h"
#include "datasets/column_json.h"
#include "util/error.h"
#include "util/json_text.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {
namespace {

using nlohmann::json;

constexpr const char* where = "checkpoint";
constexpr const char* format_name = "trainyard-checkpoint";
constexpr const char* checksum_key = "manifest_crc32";
constexpr std::size_t max_manifest_bytes = 64 << 20;

constexpr std::array ends = {"running", "finished", "early_stopped", "signal"};  // in the order of RunEnd

// Computed over compact text with sorted keys, so that it depends on every value but not on the layout.
std::uint32_t checksum_of(const json& manifest) {
  const std::string text = json_text(manifest, -1, NotUtf8::refused);
  return crc32_of(std::as_bytes(std::span(text)));
}

std::string hex(std::uint64_t value, int digits) { return fmt::format("{:0{}x}", value, digits); }

// JSON has no infinities or NaN: they become strings.
json number_to_json(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

json numbers_to_json(const std::vector<double>& numbers) {
  json list = json::array();
  for (const double number : numbers) list.push_back(number_to_json(number));
  return list;
}

json numbers_to_json(const NamedNumbers& numbers) {
  json object = json::object();
  for (const auto& [name, value] : numbers) object[name] = number_to_json(value);
  return object;
}

json fields_to_json(const std::vector<Field>& fields) {
  json list = json::array();
  for (const Field& field : fields) {
    json one = {{"name", field.name},
                {"dtype", to_string(field.dtype)},
                {"shape", field.shape},
                {"varies", field.varies},
                {"is_picture", field.is_stored_image}};  // the key is part of format version 2
    if (field.values) {
      one["values"] = {{"count", field.values->count}};
      if (field.values->ignored) one["values"]["ignored"] = *field.values->ignored;
    }
    if (!field.columns.empty()) one["columns"] = field.columns;
    list.push_back(std::move(one));
  }
  return list;
}

// What can still be done with a checkpoint of another version.
[[noreturn]] void refuse_version(std::int64_t version, const std::string& writer, std::string_view path) {
  if (version == 1) {
    throw UsageError(
        where,
        "{}: format version 1, written by Trainyard {}, whose best checkpoint was chosen on the test split; "
        "this one resumes, evaluates and predicts with version {} alone. Its weights can be trained on in "
        "a new run: --model.weights, with the model.safetensors beside it",
        path, printable(writer), Manifest::format_version);
  }
  throw UsageError(where, "{}: format version {}, written by Trainyard {}; this one reads version {}: use that one",
                   path, version, printable(writer), Manifest::format_version);
}

// Reads typed values by key; its exceptions become part of the error message.
class Reader {
 public:
  Reader(const json& object, std::string_view path) : object_(object), path_(path) {
    if (!object.is_object()) throw RunError(where, "{}: not a JSON object where one must stand", path);
  }

  const json& at(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) throw RunError(where, "{}: the key '{}' is missing", path_, key);
    return *found;
  }

  Reader object(const char* key) const { return {at(key), path_}; }
  std::string text(const char* key) const { return text(at(key), key); }
  std::int64_t count(const char* key) const { return count(at(key), key); }

  std::uint64_t hex(const char* key, std::size_t max_digits) const {
    const std::string digits = text(key);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc() || end != digits.data() + digits.size() || digits.size() > max_digits) {
      wrong(key, fmt::format("a hexadecimal number of at most {} digits", max_digits));
    }
    return value;
  }

  std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> result;
    for (const json& item : list(key)) result.push_back(text(item, key));
    return result;
  }
  std::vector<std::int64_t> counts(const char* key) const {
    std::vector<std::int64_t> result;
    for (const json& item : list(key)) result.push_back(count(item, key));
    return result;
  }
  std::vector<float> floats(const char* key) const {
    std::vector<float> result;
    for (const json& item : list(key)) {
      if (!item.is_number() || std::abs(item.get<double>()) > FLT_MAX) wrong(key, "a list of numbers");
      result.push_back(item.get<float>());
    }
    return result;
  }
  double number(const char* key) const { return number(at(key), key); }
  bool truth(const char* key) const {
    if (!at(key).is_boolean()) wrong(key, "true or false");
    return at(key).get<bool>();
  }
  NamedNumbers numbers(const char* key) const {
    NamedNumbers result;
    for (const auto& [name, item] : object(key).object_.items()) result[name] = number(item, key);
    return result;
  }
  std::vector<double> list_of_numbers(const char* key) const {
    std::vector<double> result;
    for (const json& item : list(key)) result.push_back(number(item, key));
    return result;
  }
  bool has(const char* key) const { return object_.contains(key); }
  RunEnd end(const char* key) const {
    const auto found = std::find(ends.begin(), ends.end(), text(key));
    if (found == ends.end()) wrong(key, fmt::format("one of {}", fmt::join(ends, ", ")));
    return static_cast<RunEnd>(found - ends.begin());
  }
  std::vector<Field> fields(const char* key) const {
    std::vector<Field> result;
    for (const json& item : list(key)) {
      const Reader field(item, path_);
      result.push_back({.name = field.text("name"),
                        .dtype = field.dtype("dtype"),
                        .shape = field.counts("shape"),
                        .varies = field.truth("varies"),
                        .is_stored_image = field.truth("is_picture"),
                        .values = field.values("values"),
                        .columns = field.columns("columns")});
    }
    return result;
  }
  DType dtype(const char* key) const {
    const std::optional<DType> type = dtype_of(text(key));
    if (!type) wrong(key, "uint8, int32, int64, float32 or float64");
    return *type;
  }
  std::optional<ValueRange> values(const char* key) const {
    if (!object_.contains(key)) return std::nullopt;
    const Reader values = object(key);
    ValueRange range{.count = values.count("count")};
    if (values.object_.contains("ignored")) {
      if (!values.at("ignored").is_number_integer()) wrong("ignored", "a whole number");
      range.ignored = values.at("ignored").get<std::int64_t>();
    }
    return range;
  }
  std::vector<Column> columns(const char* key) const {
    if (!object_.contains(key)) return {};
    std::vector<Column> result;
    for (const json& item : list(key)) {
      const Reader column(item, path_);
      result.push_back({.name = column.text("name"),
                        .mean = column.number("mean"),
                        .std = column.number("std"),
                        .categories = column.texts("categories")});
    }
    return result;
  }
  std::map<std::string, FileDigest> files(const char* key) const {
    std::map<std::string, FileDigest> result;
    for (const auto& [name, item] : object(key).object_.items()) {
      if (name != Manifest::model_file && name != Manifest::ema_file && name != Manifest::state_file) {
        wrong(key, "a list of a checkpoint's files");
      }
      const Reader file(item, path_);
      result[name] = {static_cast<std::uint64_t>(file.count("bytes")),
                      static_cast<std::uint32_t>(file.hex("crc32", 8))};
    }
    if (!result.contains(Manifest::model_file) || !result.contains(Manifest::state_file)) {
      wrong(key, "complete: model and state belong in it");
    }
    return result;
  }

 private:
  [[noreturn]] void wrong(const char* key, std::string_view expected) const {
    throw RunError(where, "{}: the value of '{}' is not {}", path_, key, expected);
  }
  std::string text(const json& value, const char* key) const {
    if (!value.is_string()) wrong(key, "text");
    return value.get<std::string>();
  }
  std::int64_t count(const json& value, const char* key) const {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > static_cast<std::uint64_t>(max_count)) {
      wrong(key, fmt::format("a whole number from 0 to {}", max_count));
    }
    return value.get<std::int64_t>();
  }
  double number(const json& value, const char* key) const {
    if (value.is_number()) return value.get<double>();
    if (value == "inf" || value == "-inf") return value == "inf" ? HUGE_VAL : -HUGE_VAL;
    if (value != "nan") wrong(key, "a number");
    return std::numeric_limits<double>::quiet_NaN();
  }
  const json& list(const char* key) const {
    if (!at(key).is_array()) wrong(key, "a list");
    return at(key);
  }

  const json& object_;
  std::string_view path_;
};

// JSON supports only UTF-8.
void require_utf8(std::string_view what, std::string_view text, std::string_view hint) {
  if (is_utf8(text)) return;
  throw RunError(where, "{} '{}' is not UTF-8, and a checkpoint's manifest holds nothing else; {}", what,
                 printable(text), hint);
}

void require_utf8(const Manifest& manifest) {
  for (const std::string& name : manifest.class_names) {
    require_utf8("the class", name, "rename it in the data (of an image folder: the class's folder)");
  }
  require_utf8("the model's name", manifest.model, "rename it");
  require_utf8("the dataset's name", manifest.dataset, "rename it");
  std::istringstream lines(manifest.config);
  for (std::string line; std::getline(lines, line);) require_utf8("the setting", line, "rename the file or folder");
}

}  // namespace

const char* to_string(RunEnd end) { return ends[static_cast<std::size_t>(end)]; }

std::string to_json(const Manifest& manifest) {
  require_utf8(manifest);
  json files = json::object();
  for (const auto& [name, sum] : manifest.files) files[name] = {{"bytes", sum.bytes}, {"crc32", hex(sum.crc32, 8)}};
  check_manifest(manifest, Manifest::file_name);
  json result = {{"format", format_name},
                 {"format_version", Manifest::format_version},
                 {"trainyard_version", manifest.trainyard_version},
                 {"step", manifest.step},
                 {"epoch", manifest.epoch},
                 {"batch", manifest.batch},
                 {"ended", to_string(manifest.ended)},
                 {"signal", manifest.signal},
                 {"task", manifest.task},
                 {"model", manifest.model},
                 {"dataset", manifest.dataset},
                 {"dataset_fingerprint", hex(manifest.dataset_fingerprint, 16)},
                 {"class_names", manifest.class_names},
                 {"class_counts", manifest.class_counts},
                 {"fields", fields_to_json(manifest.fields)},
                 {"channel_mean", manifest.channel_mean},
                 {"channel_std", manifest.channel_std},
                 {"val",
                  {{"samples", manifest.val.samples},
                   {"share", manifest.val.share},
                   {"from_train", manifest.val.from_train},
                   {"fingerprint", hex(manifest.val.fingerprint, 16)},
                   {"image_size", manifest.val.image_size}}},
                 {"best",
                  {{"epoch", manifest.best.epoch},
                   {"monitor", manifest.best.monitor},
                   {"metrics", numbers_to_json(manifest.best.metrics)}}},
                 {"history", numbers_to_json(manifest.history)},
                 {"window", {{"seconds", manifest.window.seconds}, {"waited", manifest.window.waited}}},
                 {"config", manifest.config},
                 {"files", files}};
  result[checksum_key] = hex(checksum_of(result), 8);
  return json_text(result, 2, NotUtf8::refused) + "\n";
}

Manifest parse_manifest(std::string_view text, std::string_view path) {
  json object = json_from(text);
  if (object.is_discarded()) {
    const auto foreign = explain_foreign_format(std::as_bytes(std::span(text)), path);
    throw RunError(where, "{}: not JSON; it {}", path, foreign.value_or("is damaged or cut off"));
  }
  const Reader reader(object, path);
  if (reader.text("format") != format_name) throw RunError(where, "{}: not the manifest of a checkpoint", path);
  const std::uint64_t checksum = reader.hex(checksum_key, 8);
  object.erase(checksum_key);
  if (checksum_of(object) != checksum) {
    throw RunError(where, "{}: damaged: its CRC-32 is {}, it says {}", path, hex(checksum_of(object), 8),
                   hex(checksum, 8));
  }
  if (const auto version = reader.count("format_version"); version != Manifest::format_version) {
    refuse_version(version, reader.text("trainyard_version"), path);
  }
  Manifest manifest;
  manifest.step = reader.count("step");
  manifest.epoch = reader.count("epoch");
  manifest.batch = reader.count("batch");
  manifest.ended = reader.end("ended");
  manifest.signal = reader.count("signal");
  manifest.trainyard_version = reader.text("trainyard_version");
  manifest.task = reader.text("task");
  manifest.model = reader.text("model");
  manifest.dataset = reader.text("dataset");
  manifest.dataset_fingerprint = reader.hex("dataset_fingerprint", 16);
  manifest.class_names = reader.texts("class_names");
  for (const std::int64_t count : reader.counts("class_counts")) {
    manifest.class_counts.push_back(static_cast<std::uint64_t>(count));
  }
  manifest.fields = reader.fields("fields");
  manifest.channel_mean = reader.floats("channel_mean");
  manifest.channel_std = reader.floats("channel_std");
  const Reader val = reader.object("val");
  manifest.val = {val.count("samples"), val.number("share"), val.truth("from_train"), val.hex("fingerprint", 16), {}};
  if (val.has("image_size")) manifest.val.image_size = val.counts("image_size");  // once not written
  const Reader best = reader.object("best");
  manifest.best = {best.count("epoch"), best.text("monitor"), best.numbers("metrics")};
  if (reader.has("history")) manifest.history = reader.list_of_numbers("history");  // once not written
  const Reader window = reader.object("window");
  manifest.window = {window.number("seconds"), window.number("waited")};
  manifest.config = reader.text("config");
  manifest.files = reader.files("files");
  check_manifest(manifest, path);
  return manifest;
}

Manifest read_manifest(const std::filesystem::path& folder) {
  const std::string path = (folder / Manifest::file_name).string();
  const Mapping mapping = Mapping::read_only_file(path, where);
  const auto bytes = mapping.bytes();
  if (bytes.size() > max_manifest_bytes) throw RunError(where, "{}: {} bytes, too many", path, bytes.size());
  Manifest manifest = parse_manifest({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
  if (const auto step = step_of(folder.filename().string()); step && *step != manifest.step) {
    throw RunError(where, "{}: it is of step {}, its folder's name of step {}; give the folder its right name, {}",
                   path, manifest.step, *step, step_folder_name(manifest.step));
  }
  return manifest;
}

}  // namespace trainyard
