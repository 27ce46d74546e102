#include "report/run_record.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "util/error.h"
#include "util/json_text.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string text_of(const fs::path& path) {
  return fs::is_regular_file(path) ? read_text_file(path.string(), "report") : std::string();
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
  return fields;
}

json number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(value) ? json(value) : json(nullptr);
}

// The first line names the columns. A line with a different number of fields is torn.
json rows_of_csv(const std::string& text) {
  json rows = json::array();
  std::istringstream lines(text);
  std::string line;
  if (!std::getline(lines, line)) return rows;
  const std::vector<std::string> names = split(line);
  while (std::getline(lines, line)) {
    const std::vector<std::string> fields = split(line);
    if (fields.size() != names.size()) continue;
    json row = json::object();
    for (std::size_t i = 0; i < names.size(); ++i) row[names[i]] = number(fields[i]);
    rows.push_back(std::move(row));
  }
  return rows;
}

json objects_of_lines(const std::string& text) {
  json objects = json::array();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    json object = json_from(line);
    if (object.is_object()) objects.push_back(std::move(object));
  }
  return objects;
}

// Removes the folder that the run was started in, which may contain the user's name, because reports are passed on.
std::string without_start_folder(std::string config) {
  const std::size_t begin = config.find("\nstarted_in = ");
  if (begin == std::string::npos) return config;
  const std::size_t end = std::min(config.find('\n', begin + 1), config.size());
  return config.erase(begin, end - begin);
}

}  // namespace

RunRecord read_run(const fs::path& folder) {
  if (!fs::is_regular_file(folder / "config.toml") && !fs::is_directory(folder / "checkpoints")) {
    throw UsageError("report", "{} is no run's folder: it has neither a config.toml nor checkpoints", folder.string());
  }
  const fs::path absolute = fs::weakly_canonical(folder);
  json check = json_from(text_of(folder / "check.json"));
  return {.name = absolute.filename().string(),
          .path = folder.string(),
          .epochs = rows_of_csv(text_of(folder / "metrics.csv")),
          .steps = objects_of_lines(text_of(folder / "metrics.jsonl")),
          .ranks = rows_of_csv(text_of(folder / "ranks.csv")),
          .check = check.is_object() ? std::move(check) : json(nullptr),
          .config = without_start_folder(text_of(folder / "config.toml"))};
}

}  // namespace trainyard
