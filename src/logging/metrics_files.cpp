#include "logging/metrics_files.h"

#include <algorithm>
#include <optional>
#include <sstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "logging/append.h"
#include "util/atomic_file.h"
#include "util/json_text.h"
#include "util/log.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

using Cells = std::vector<std::string>;

Cells columns_of_epochs(const MetricNames& names) {
  Cells columns = {"epoch", "step"};
  for (const std::string& name : names.train) columns.push_back("train/" + name);
  for (const std::string& name : names.val) columns.push_back("val/" + name);
  columns.insert(columns.end(), {"lr", "samples_per_second", "data_wait"});
  return columns;
}

Cells columns_of_loading() {
  return {"epoch",        "step",     "samples_per_second",
          "wait_share",   "wait_p50", "wait_p99",
          "workers_busy", "bytes",    "deaths",
          "hangs",        "retries",  "skipped"};
}

Cells columns_of_ranks() { return {"epoch", "step", "rank", "data_wait"}; }

// Empty for an unknown value.
std::string cell(std::optional<double> value) { return value ? fmt::format("{}", *value) : ""; }

std::string row_of(const Cells& cells) { return fmt::format("{}\n", fmt::join(cells, ",")); }

Cells cells_of(const std::string& row) {
  Cells cells;
  std::istringstream stream(row + ",");
  for (std::string cell; std::getline(stream, cell, ',');) cells.push_back(cell);
  return cells;
}

std::optional<std::int64_t> step_of_row(const std::string& line) {
  std::istringstream fields(line);
  std::int64_t epoch = 0;
  std::int64_t step = 0;
  char comma = 0;
  if (fields >> epoch >> comma >> step) return step;
  return std::nullopt;
}

std::optional<std::int64_t> step_of_object(const std::string& line) {
  const nlohmann::json object = json_from(line);
  if (object.is_object() && object.contains("step") && object["step"].is_number_integer()) {
    return object["step"].get<std::int64_t>();
  }
  return std::nullopt;
}

// A file of an earlier part of the run, which is rewritten with the lines to keep.
class EarlierFile {
 public:
  // A line torn by a crash is dropped.
  explicit EarlierFile(fs::path path, bool is_read) : path_(std::move(path)) {
    std::error_code ignored;
    if (!is_read || !fs::exists(path_, ignored)) return;
    std::istringstream text(read_text_file(path_.string(), "metrics"));
    for (std::string line; std::getline(text, line) && !text.eof();) {
      if (line.ends_with('\r')) line.pop_back();  // edited with another program
      lines_.push_back(line);
    }
  }

  const std::vector<std::string>& lines() const { return lines_; }

  void leave_out_unreadable(std::size_t line) {
    if (++unreadable_ == 1) first_unreadable_ = line + 1;
  }

  void rewrite(const std::string& text) const {
    if (unreadable_ > 0) keep_copy();
    write_file_atomically(path_, [&](FileWriter& file) { file.write(text); });
  }

 private:
  void keep_copy() const {
    const std::string copy = path_.string() + ".damaged";
    std::error_code error;
    fs::copy_file(path_, copy, fs::copy_options::overwrite_existing, error);
    if (error) throw_system_error("metrics", "copy to", copy, error.value());
    const std::string more = unreadable_ == 1 ? "" : fmt::format(" (and {} more)", unreadable_ - 1);
    log_warning("[metrics] {}:{}: the line cannot be read{}; it is left out, and the file as it was is kept as {}",
                printable(path_.string()), first_unreadable_, more, printable(copy));
  }

  fs::path path_;
  std::vector<std::string> lines_;
  std::size_t unreadable_ = 0;
  std::size_t first_unreadable_ = 0;
};

void keep_objects(const fs::path& path, std::int64_t last_step) {
  EarlierFile file(path, last_step > 0);
  std::string kept;
  for (std::size_t i = 0; i < file.lines().size(); ++i) {
    const std::optional<std::int64_t> step = step_of_object(file.lines()[i]);
    if (!step) file.leave_out_unreadable(i);
    if (step && *step <= last_step) kept += file.lines()[i] + "\n";
  }
  file.rewrite(kept);
}

// Returns the number of columns, with those that only the earlier part had.
std::size_t keep_rows(const fs::path& path, Cells columns, std::int64_t last_step) {
  EarlierFile file(path, last_step > 0);
  Cells before;
  std::vector<std::size_t> places;  // of the earlier columns
  if (!file.lines().empty() && file.lines().front().starts_with("epoch,step,")) before = cells_of(file.lines().front());
  for (const std::string& name : before) {
    const auto place = std::find(columns.begin(), columns.end(), name);
    places.push_back(place - columns.begin());
    if (place == columns.end()) columns.push_back(name);
  }
  std::string kept = row_of(columns);
  for (std::size_t i = before.empty() ? 0 : 1; i < file.lines().size(); ++i) {
    const std::optional<std::int64_t> step = step_of_row(file.lines()[i]);
    const Cells cells = cells_of(file.lines()[i]);
    if (!step || cells.size() != before.size()) {
      file.leave_out_unreadable(i);
    } else if (*step <= last_step) {
      Cells row(columns.size());
      for (std::size_t c = 0; c < cells.size(); ++c) row[places[c]] = cells[c];
      kept += row_of(row);
    }
  }
  file.rewrite(kept);
  return columns.size();
}

}  // namespace

MetricsFiles::MetricsFiles(const fs::path& folder, std::int64_t last_step, const MetricNames& names)
    : epochs_{.path = folder / "metrics.csv"},
      loading_{.path = folder / "loading.csv"},
      ranks_{.path = folder / "ranks.csv"},
      jsonl_(folder / "metrics.jsonl"),
      events_(folder, last_step) {
  epochs_.columns = keep_rows(epochs_.path, columns_of_epochs(names), last_step);
  loading_.columns = keep_rows(loading_.path, columns_of_loading(), last_step);
  keep_objects(jsonl_, last_step);
  std::error_code ignored;
  if (fs::exists(ranks_.path, ignored)) ranks_.columns = keep_rows(ranks_.path, columns_of_ranks(), last_step);
}

void MetricsFiles::add(const EpochMetrics& m) {
  Cells row = {std::to_string(m.epoch), std::to_string(m.step)};
  std::vector<EventFile::Scalar> scalars;
  const auto add_value = [&](const std::string& tag, std::optional<double> value) {
    row.push_back(cell(value));
    if (value) scalars.push_back({tag, *value});
  };
  for (const auto& [name, value] : m.train) add_value("train/" + name + "_epoch", value);
  for (const auto& [name, value] : m.val) add_value("val/" + name, value);
  row.insert(row.end(), {cell(m.lr), cell(m.samples_per_second), cell(m.data_wait)});
  append(epochs_, std::move(row));
  events_.add(m.step, scalars);
}

void MetricsFiles::add(const LoadingMetrics& m) {
  const EpochStats& s = m.stats;
  const auto measured = [&s](double value) { return s.batches > 0 ? cell(value) : ""; };
  append(loading_, {std::to_string(m.epoch), std::to_string(m.step), measured(s.samples_per_second()),
                    measured(s.wait_share()), measured(s.wait_p50), measured(s.wait_p99), measured(s.busy_share),
                    std::to_string(s.bytes), std::to_string(s.faults.deaths), std::to_string(s.faults.hangs),
                    std::to_string(s.faults.retries), std::to_string(s.faults.skipped)});
  std::vector<EventFile::Scalar> scalars = {
      {"loading/samples_skipped", static_cast<double>(s.faults.skipped)},
      {"loading/workers_lost", static_cast<double>(s.faults.deaths + s.faults.hangs)}};
  if (s.batches > 0) {
    scalars.insert(
        scalars.end(),
        {{"loading/wait_p50", s.wait_p50}, {"loading/wait_p99", s.wait_p99}, {"loading/workers_busy", s.busy_share}});
  }
  events_.add(m.step, scalars);
}

void MetricsFiles::add(const RankMetrics& m) {
  if (m.data_wait.size() < 2) return;
  if (ranks_.columns == 0) ranks_.columns = keep_rows(ranks_.path, columns_of_ranks(), 0);
  std::vector<EventFile::Scalar> scalars;
  for (std::size_t rank = 0; rank < m.data_wait.size(); ++rank) {
    append(ranks_, {std::to_string(m.epoch), std::to_string(m.step), std::to_string(rank), cell(m.data_wait[rank])});
    scalars.push_back({fmt::format("ranks/data_wait_{}", rank), m.data_wait[rank]});
  }
  events_.add(m.step, scalars);
}

void MetricsFiles::add(const StepMetrics& m) {
  nlohmann::ordered_json object = {{"epoch", m.epoch}, {"step", m.step}};
  std::vector<EventFile::Scalar> scalars;
  for (const auto& [name, value] : m.train) {
    object["train/" + name] = value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
    if (value) scalars.push_back({"train/" + name, *value});
  }
  object["lr"] = m.lr;
  object["samples_per_second"] = m.samples_per_second;
  object["data_wait"] = m.data_wait;
  append(jsonl_, json_text(object) + "\n");
  scalars.insert(
      scalars.end(),
      {{"train/lr", m.lr}, {"speed/samples_per_second", m.samples_per_second}, {"speed/data_wait", m.data_wait}});
  events_.add(m.step, scalars);
}

void MetricsFiles::append(const Csv& file, Cells cells) const {
  cells.resize(file.columns);
  append(file.path, row_of(cells));
}

void MetricsFiles::append(const fs::path& path, const std::string& lines) const {
  // A file that was removed meanwhile is an error; it is not recreated without its header.
  const UniqueFd fd = open_regular_file(path.string(), "metrics", O_WRONLY | O_APPEND);
  append_record(fd.get(), lines, path.string());
}

}  // namespace trainyard
