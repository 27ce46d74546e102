// trainyard eval: evaluates a checkpoint on the whole test split, or on val, and prints a table or JSON.

#include <algorithm>

#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint_folder.h"
#include "commands/command.h"
#include "commands/evaluate_checkpoint.h"
#include "commands/machine.h"
#include "loader/open_pool.h"
#include "util/json_text.h"
#include "util/log.h"
#include "util/output.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr std::size_t table_rows = 30;
constexpr std::size_t max_wrong = 10;
constexpr std::size_t longest_name = 60;

class EvalCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("checkpoint", checkpoint_, "a run's folder, or one of its checkpoints", {.required = true});
    arguments.add("--split", split_, "test or val; by default test, or val if the data has no test",
                  {.one_of = {"test", "val"}});
    arguments.add("--mirror", mirror_, "average each image's logits with those of its mirror image");
    arguments.add("--json", json_, "print everything as JSON, including the confusion matrix");
  }

  std::string checkpoint() const override { return checkpoint_; }

  bool uses(const std::string& key) const override { return changes_evaluation(key); }

  int run(const Config& config) override {
    WorkerPool pool = open_pool(config);  // forks, so before CUDA and any thread
    const CheckResult check = run_check(device_needs_of(config));
    const at::Device device = prepare_device(config, check);
    const CheckpointEvaluation result = with_explained_errors(check, device, [&] {
      const Split split = split_.empty() ? judging_split(pool) : split_ == "val" ? Split::val : Split::test;
      return evaluate_checkpoint(resolve_checkpoint(checkpoint_), pool, split, config, device,
                                 {.worst = max_wrong, .mirror = mirror_});
    });
    const std::string& warning_of_data = pool.splits().at(static_cast<std::size_t>(result.split)).warning;
    if (!warning_of_data.empty()) log_warning("[data] {}: {}", to_string(result.split), warning_of_data);
    for (const std::string& warning : result.scores.warnings) {
      log_warning("[data] {}: {}", to_string(result.split), warning);
    }
    if (json_) {
      write_output(json_text(to_json(result), 2) + "\n");
    } else {
      print_table(result);
    }
    return 0;
  }

 private:
  void print_table(const CheckpointEvaluation& result) const {
    const std::string split = to_string(result.split);
    print("{} on {} of {}, {}, {}{}\n", result.checkpoint.string(), split, result.dataset, result.device,
          result.precision, result.mirror ? ", averaged with the mirrored images" : "");
    if (split_.empty() && result.split == Split::val) print("  {} has no test split\n", result.dataset);
    std::size_t width = 0;
    for (const auto& [name, value] : result.scores.values) width = std::max(width, split.size() + 1 + name.size());
    for (const auto& [name, value] : result.scores.values) {
      const bool monitored = name == result.monitor.metric;
      print("  {:<{}}  {}{}\n", fmt::format("{}/{}", split, name), width, metric_text(value),
            monitored ? " on " + samples_text(result.scores) : "");
    }
    print_classes(result.findings);
    print_targets(result.findings);
    for (const std::string& text : result.findings.texts) print("\n{}\n", printable_lines(text));
    if (result.findings.worst.empty()) return;
    print("\n  {}\n", result.findings.worst_title);
    for (std::size_t i = 0; i < result.findings.worst.size(); ++i) {
      print("  {}  {}\n", result.worst_names[i], result.findings.worst[i].caption);
    }
  }

  static void print_classes(const Findings& findings) {
    if (findings.classes.empty()) return;
    std::vector<nlohmann::ordered_json> rows(findings.classes.begin(), findings.classes.end());
    if (rows.size() > table_rows) {
      const std::string& key = findings.ranked_by;
      const auto rank = [&](const auto& row) { return row[key].is_number() ? row[key].template get<double>() : 2; };
      std::stable_sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
      print("\n  the {} of {} classes with the lowest {} (--json has all)\n", table_rows, rows.size(), key);
      rows.resize(table_rows);
    }
    print_rows("class", findings.unit, rows);
  }

  static void print_targets(const Findings& findings) {
    if (findings.targets.size() < 2) return;  // the metrics already show a single one
    std::vector<nlohmann::ordered_json> rows;
    for (const auto& target : findings.targets) {
      rows.push_back({});
      for (const char* const key : {"name", "r2", "mae", "rmse"}) rows.back()[key] = target[key];
    }
    print_rows("target", findings.unit, rows);
  }

  // Each row is an object; all have the same keys.
  static void print_rows(const std::string& what, const std::string& unit,
                         const std::vector<nlohmann::ordered_json>& rows) {
    std::vector<std::vector<std::string>> cells(1);
    for (const auto& [key, value] : rows.front().items()) {
      cells.front().push_back(key == "name" ? what : key == "samples" ? unit : key);
    }
    for (const auto& row : rows) {
      cells.emplace_back();
      for (const auto& [key, value] : row.items()) cells.back().push_back(cell(value));
    }
    std::vector<std::size_t> widths(cells.front().size());
    for (const auto& row : cells) {
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    print("\n");
    for (const auto& row : cells) {
      std::string line = fmt::format("  {:<{}}", row[0], widths[0]);
      for (std::size_t i = 1; i < row.size(); ++i) line += fmt::format("  {:>{}}", row[i], widths[i]);
      print("{}\n", line);
    }
  }

  static std::string cell(const nlohmann::ordered_json& value) {
    if (value.is_number_float()) return metric_text(value.get<double>());
    if (value.is_number()) return fmt::format("{}", value.get<std::int64_t>());
    return value.is_string() ? printable(value.get<std::string>(), longest_name) : "-";
  }

  std::string checkpoint_;
  std::string split_;
  bool mirror_ = false;
  bool json_ = false;
};

const CommandRegistry::Registration registered{"eval", "evaluate a checkpoint on the test split",
                                               [] { return std::make_unique<EvalCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
