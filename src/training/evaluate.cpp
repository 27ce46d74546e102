#include "training/evaluate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/ranges.h>

#include <ATen/ops/cat.h>

#include "training/forward.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

// Greater is better. No value and NaN are worse than any number, and so is every result of a loss that is not finite.
double rank(const MetricValues& values, const std::string& metric, bool higher_is_better) {
  const double value = value_of(values, metric).value_or(std::nan(""));
  if (std::isnan(value) || !is_finite(values)) return -HUGE_VAL;
  return higher_is_better ? value : -value;
}

// The rows of all ranks, concatenated. Ranks may have different numbers of rows.
at::Tensor of_all_ranks(const at::Tensor& rows, ProcessGroup& group) {
  if (group.alone()) return rows;
  const at::Tensor count = at::full({1}, rows.size(0), at::kLong);
  std::vector<std::int64_t> counts;
  for (const at::Tensor& one : group.all_gather(count)) counts.push_back(one.item<std::int64_t>());
  const at::Tensor padded = at::zeros({*std::max_element(counts.begin(), counts.end()), rows.size(1)}, rows.options());
  padded.narrow(0, 0, rows.size(0)).copy_(rows);
  std::vector<at::Tensor> gathered = group.all_gather(padded);
  for (std::size_t i = 0; i < gathered.size(); ++i) gathered[i] = gathered[i].narrow(0, 0, counts[i]);
  return at::cat(gathered);
}

}  // namespace

std::string samples_text(const Scores& scores) {
  if (scores.samples == scores.chosen)
    return (scores.whole ? "all " : "the first ") + count_of(scores.samples, "sample");
  return fmt::format("{} of {}{}", scores.samples, scores.whole ? "" : "the first ", count_of(scores.chosen, "sample"));
}

std::vector<std::string> score_names(const Task& task) {
  std::vector<std::string> names = MetricSet(task.metrics(Phase::evaluate)).names();
  for (std::string& name : CollectedMetrics(task.collected_metrics()).names()) names.push_back(std::move(name));
  return names;
}

void require_score_names(const Task& task) {
  const std::vector<std::string> names = score_names(task);
  for (const std::string& name : names) {
    if (name.empty() || printable(name) != name || name.find_first_of(",\"") != std::string::npos) {
      throw RunError("task", "a metric is named '{}'; give it a name without commas, quotes and line breaks",
                     printable(name));
    }
    if (std::count(names.begin(), names.end(), name) > 1) {
      throw RunError("task", "two metrics are named '{}'; rename one of them ('loss' is the loss itself)", name);
    }
  }
  const std::string monitored = task.monitor().metric;
  if (std::find(names.begin(), names.end(), monitored) != names.end()) return;
  throw RunError("task", "monitor() names '{}', which is none of the task's metrics: {}", printable(monitored),
                 fmt::join(names, ", "));
}

bool is_finite(const MetricValues& values) { return std::isfinite(value_of(values, "loss").value_or(0)); }

bool can_be_best(const MetricValues& values, const Monitor& monitor) {
  return rank(values, monitor.metric, monitor.higher_is_better) != -HUGE_VAL;
}

bool is_better(const MetricValues& later, const MetricValues& earlier, const Monitor& monitor) {
  const double rank_later = rank(later, monitor.metric, monitor.higher_is_better);
  const double rank_earlier = rank(earlier, monitor.metric, monitor.higher_is_better);
  if (rank_later != rank_earlier) return rank_later > rank_earlier;
  return rank(later, "loss", false) >= rank(earlier, "loss", false);
}

bool has_diverged(const MetricValues& later, const MetricValues& earlier) {
  constexpr double many_times = 100;
  const std::optional<double> before = value_of(earlier, "loss");
  return before && value_of(later, "loss").value_or(0) > std::max(1.0, many_times * *before);
}

EvaluationStep::EvaluationStep(Model& model, const Task& task, Precision precision, const Options& options)
    : model_(model),
      task_(task),
      precision_(precision),
      mirror_(options.mirror),
      metrics_(task.metrics(Phase::evaluate)),
      collected_(task.collected_metrics()),
      graph_([this](const TensorDict& batch, const StepPart&) { return run(batch); }, alone_,
             model.parameters().front().device(), options.cuda_graph, options.warns) {}

TensorDict EvaluationStep::prepare(const DeviceBatch& raw) const { return trainyard::prepare(task_, raw, precision_); }

StepResult EvaluationStep::run(const TensorDict& batch) const {
  const std::int64_t samples = samples_of(batch);
  StepResult result;
  result.outputs =
      mirror_ ? forward_mirrored(model_, task_, batch, precision_) : forward(model_, task_, batch, precision_);
  const Loss loss = task_.loss(result.outputs, batch, Phase::evaluate);
  result.sums = metrics_.sums_of(result.outputs, batch, loss, samples);
  if (!collected_.empty()) result.rows = collected_.rows_of(result.outputs, batch, loss, samples);
  return result;
}

std::optional<Scores> evaluate(EvaluationStep& step, DeviceLoader& batches, ProcessGroup& group,
                               const EvaluateOptions& options) {
  const at::NoGradGuard no_grad;
  Model& model = step.model();
  const bool was_training = model.is_training();
  model.eval();
  MetricSums sums(step.metrics(), batches.device());
  const CollectedMetrics& collected = step.collected();
  collected.require_memory(batches.split().size);
  const at::Tensor rows = at::empty({static_cast<std::int64_t>(batches.split().size), collected.columns()},
                                    at::TensorOptions(batches.device()).dtype(at::kFloat));
  std::int64_t filled = 0;
  bool stopped = false;
  batches.start_epoch(0);
  while (const std::optional<DeviceBatch> raw = stopped ? std::nullopt : batches.next()) {
    group.report_progress();
    if (raw->count > 0) {  // otherwise only other ranks have samples of this batch
      const TensorDict batch = step.prepare(*raw);
      const StepResult result = step(batch);
      sums.add(result.sums);
      if (!collected.empty()) rows.narrow(0, filled, raw->count).copy_(result.rows);
      if (options.evaluation != nullptr) {
        options.evaluation->add(*raw, batch, result.outputs, batches.sample_indices(*raw));
      }
      filled += raw->count;
    }
    stopped = options.stop && options.stop();
  }
  model.train(was_training);
  if (stopped) return std::nullopt;
  group.all_reduce(sums.tensor());
  MetricValues values = sums.values();
  const at::Tensor all_rows = collected.empty() ? rows : of_all_ranks(rows.narrow(0, 0, filled), group);
  for (auto& value : collected.values(all_rows)) values.push_back(std::move(value));
  const bool is_whole = batches.samples() == batches.split().size;  // even if single samples were skipped
  return Scores{.values = std::move(values),
                .samples = sums.samples(),
                .chosen = static_cast<std::int64_t>(batches.samples()),
                .whole = is_whole,
                .warnings = is_whole ? sums.warnings() : std::vector<std::string>()};
}

}  // namespace trainyard
