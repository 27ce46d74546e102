#include "report/run_record.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <sstream>

#include <fmt/format.h>

#include "util/error.h"
#include "util/first_few.h"
#include "util/json_text.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string text_of(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) ? read_text_file(path.string(), "report") : std::string();
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line + ",");
  for (std::string field; std::getline(stream, field, ',');) fields.push_back(field);
  return fields;
}

// The damage in the lines of one file: the first fault is told, the others are counted.
class Damage {
 public:
  explicit Damage(const fs::path& path) : path_(path) {}

  void add(std::size_t line, const std::string& fault) {
    if (++lines_ == 1) first_ = fmt::format("{}:{}: {}", printable(path_.string()), line, fault);
  }

  void tell(std::vector<std::string>& warnings) const {
    if (lines_ == 0) return;
    const std::string more = lines_ == 1 ? "" : fmt::format(" (and {} more)", lines_ - 1);
    warnings.push_back(fmt::format("[report] {}{}; what cannot be read is not shown", first_, more));
  }

 private:
  fs::path path_;
  std::size_t lines_ = 0;
  std::string first_;
};

// Calls `read` with the number and the text of each line that has its end.
void for_each_line(const std::string& text, const std::function<void(std::size_t, const std::string&)>& read) {
  std::istringstream lines(text);
  std::size_t number = 0;
  for (std::string line; std::getline(lines, line) && !lines.eof();) read(++number, line);
}

// An empty cell, and a number that is not finite, are null.
json cell(const std::string& text, const std::function<void()>& refuse) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_number = error == std::errc() && end == text.data() + text.size();
  if (!is_number && !text.empty()) refuse();
  return is_number && std::isfinite(value) ? json(value) : json(nullptr);
}

json rows_of_csv(const fs::path& path, std::vector<std::string>& warnings) {
  json rows = json::array();
  Damage damage(path);
  std::vector<std::string> names;
  for_each_line(text_of(path), [&](std::size_t number, const std::string& line) {
    const std::vector<std::string> fields = split(line);
    if (number == 1) {
      if (line.starts_with("epoch,step,")) {
        names = fields;
      } else {
        damage.add(1, "the first line is not the header epoch,step,...");
      }
    } else if (names.empty()) {
      return;
    } else if (fields.size() != names.size()) {
      damage.add(number, fmt::format("the line has {} fields, the first line {}", fields.size(), names.size()));
    } else {
      json row = json::object();
      for (std::size_t i = 0; i < names.size(); ++i) {
        row[names[i]] = cell(fields[i], [&] {
          damage.add(number,
                     fmt::format("{} is '{}', which is not a number", printable(names[i]), printable(fields[i])));
        });
      }
      if (row["epoch"].is_number() && row["step"].is_number()) rows.push_back(std::move(row));
    }
  });
  damage.tell(warnings);
  return rows;
}

json objects_of_lines(const fs::path& path, std::vector<std::string>& warnings) {
  json objects = json::array();
  Damage damage(path);
  for_each_line(text_of(path), [&](std::size_t number, const std::string& line) {
    json object = json_from(line);
    if (object.is_object()) {
      objects.push_back(std::move(object));
    } else {
      damage.add(number, "the line is no JSON object");
    }
  });
  damage.tell(warnings);
  return objects;
}

// A run writes its metrics' files before its first checkpoint.
void warn_if_missing(const fs::path& folder, std::vector<std::string>& warnings) {
  std::error_code error;
  const fs::directory_iterator checkpoints(folder / "checkpoints", error);
  if (checkpoints == fs::directory_iterator()) return;
  for (const char* const name : {"metrics.csv", "metrics.jsonl"}) {
    if (fs::is_regular_file(folder / name, error)) continue;
    warnings.push_back(
        fmt::format("[report] {} is missing; its curves are not shown", printable((folder / name).string())));
  }
}

// Removes the folder that the run was started in, which may contain the user's name, because reports are passed on.
std::string without_start_folder(std::string config) {
  const std::size_t begin = config.find("\nstarted_in = ");
  if (begin == std::string::npos) return config;
  const std::size_t end = std::min(config.find('\n', begin + 1), config.size());
  return config.erase(begin, end - begin);
}

bool is_run_folder(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_regular_file(folder / "config.toml", ignored) || fs::is_directory(folder / "checkpoints", ignored);
}

}  // namespace

void require_run_folder(const fs::path& folder, const char* where) {
  if (is_run_folder(folder)) return;
  std::error_code error;
  if (fs::is_regular_file(folder, error)) {
    throw UsageError(where, "{} is a file, not a run's folder; a run's folder is the one with its config.toml",
                     folder.string());
  }
  std::vector<std::string> runs;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (is_run_folder(*entry)) runs.push_back(entry->path().string());
  }
  std::sort(runs.begin(), runs.end());
  throw UsageError(where, "{} is not a run's folder: it has neither a config.toml nor checkpoints{}", folder.string(),
                   runs.empty() ? "" : "; runs there: " + first_few(runs, 10));
}

RunRecord read_run(const fs::path& folder) {
  require_run_folder(folder, "report");
  RunRecord record{.name = fs::weakly_canonical(folder).filename().string(), .path = folder.string()};
  warn_if_missing(folder, record.warnings);
  record.epochs = rows_of_csv(folder / "metrics.csv", record.warnings);
  record.steps = objects_of_lines(folder / "metrics.jsonl", record.warnings);
  record.ranks = rows_of_csv(folder / "ranks.csv", record.warnings);
  json check = json_from(text_of(folder / "check.json"));
  if (check.is_object()) record.check = std::move(check);
  record.config = without_start_folder(text_of(folder / "config.toml"));
  return record;
}

}  // namespace trainyard
