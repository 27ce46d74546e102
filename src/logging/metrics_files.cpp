#include "logging/metrics_files.h"

#include <functional>
#include <optional>
#include <sstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "util/atomic_file.h"
#include "util/json_text.h"
#include "util/system.h"

namespace trainyard {
namespace {

std::string epochs_header(const MetricNames& names) {
  std::string header = "epoch,step";
  for (const std::string& name : names.train) header += ",train/" + name;
  for (const std::string& name : names.val) header += ",val/" + name;
  return header + ",lr,samples_per_second,data_wait\n";
}

constexpr const char* loading_header =
    "epoch,step,samples_per_second,wait_share,wait_p50,wait_p99,workers_busy,bytes,deaths,hangs,retries,skipped\n";

constexpr const char* ranks_header = "epoch,step,rank,data_wait\n";

// Empty for an unknown value.
std::string cell(std::optional<double> value) { return value ? fmt::format("{}", *value) : ""; }

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

// Rewrites `path` as `header` and the old lines up to `last_step`. A line torn by a crash is dropped.
void keep_up_to(const std::filesystem::path& path, const std::string& header, std::int64_t last_step,
                const std::function<std::optional<std::int64_t>(const std::string&)>& step_of) {
  std::string kept = header;
  if (last_step > 0 && std::filesystem::exists(path)) {
    std::istringstream lines(read_text_file(path.string(), "metrics"));
    for (std::string line; std::getline(lines, line);) {
      const std::optional<std::int64_t> step = step_of(line);
      if (step && *step <= last_step && !lines.eof()) kept += line + "\n";
    }
  }
  write_file_atomically(path, [&kept](FileWriter& file) { file.write(kept); });
}

}  // namespace

MetricsFiles::MetricsFiles(const std::filesystem::path& folder, std::int64_t last_step, const MetricNames& names)
    : csv_(folder / "metrics.csv"),
      loading_(folder / "loading.csv"),
      ranks_(folder / "ranks.csv"),
      jsonl_(folder / "metrics.jsonl"),
      events_(folder, last_step) {
  keep_up_to(csv_, epochs_header(names), last_step, step_of_row);
  keep_up_to(loading_, loading_header, last_step, step_of_row);
  keep_up_to(jsonl_, "", last_step, step_of_object);
  if (std::filesystem::exists(ranks_)) keep_up_to(ranks_, ranks_header, last_step, step_of_row);
}

void MetricsFiles::add(const EpochMetrics& m) {
  std::string row = fmt::format("{},{}", m.epoch, m.step);
  std::vector<EventFile::Scalar> scalars;
  const auto add_value = [&](const std::string& tag, std::optional<double> value) {
    row += "," + cell(value);
    if (value) scalars.push_back({tag, *value});
  };
  for (const auto& [name, value] : m.train) add_value("train/" + name + "_epoch", value);
  for (const auto& [name, value] : m.val) add_value("val/" + name, value);
  append(csv_, fmt::format("{},{},{},{}\n", row, m.lr, cell(m.samples_per_second), cell(m.data_wait)));
  events_.add(m.step, scalars);
}

void MetricsFiles::add(const LoadingMetrics& m) {
  const EpochStats& s = m.stats;
  const auto measured = [&s](double value) { return s.batches > 0 ? std::optional(value) : std::nullopt; };
  append(loading_, fmt::format("{},{},{},{},{},{},{},{},{},{},{},{}\n", m.epoch, m.step,
                               cell(measured(s.samples_per_second())), cell(measured(s.wait_share())),
                               cell(measured(s.wait_p50)), cell(measured(s.wait_p99)), cell(measured(s.busy_share)),
                               s.bytes, s.faults.deaths, s.faults.hangs, s.faults.retries, s.faults.skipped));
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
  if (!std::filesystem::exists(ranks_)) keep_up_to(ranks_, ranks_header, 0, step_of_row);
  std::string rows;
  std::vector<EventFile::Scalar> scalars;
  for (std::size_t rank = 0; rank < m.data_wait.size(); ++rank) {
    rows += fmt::format("{},{},{},{}\n", m.epoch, m.step, rank, m.data_wait[rank]);
    scalars.push_back({fmt::format("ranks/data_wait_{}", rank), m.data_wait[rank]});
  }
  append(ranks_, rows);
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

void MetricsFiles::append(const std::filesystem::path& path, const std::string& line) const {
  // A file that was removed meanwhile is an error; it is not recreated without its header.
  const UniqueFd fd(check_call(open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC), "metrics", "open", path.string()));
  write_all(fd.get(), std::as_bytes(std::span(line)), "metrics", path.string());
}

}  // namespace trainyard
