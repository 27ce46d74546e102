#include "tasks/regression_evaluation.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ATen/ops/cat.h>
#include <ATen/ops/div.h>

#include "tasks/sample_image.h"
#include "tasks/worst.h"
#include "util/printable.h"

namespace trainyard {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t max_points = 1000;  // points per target in the report
constexpr std::int64_t error_bins = 41;

std::vector<double> list_of(const at::Tensor& values) {
  const at::Tensor contiguous = values.contiguous();
  const double* const begin = contiguous.const_data_ptr<double>();
  return {begin, begin + contiguous.numel()};
}

at::Tensor of_targets(const std::vector<Column>& targets, double Column::* figure) {
  std::vector<double> values;
  for (const Column& target : targets) values.push_back(target.*figure);
  return at::tensor(values, at::kDouble);
}

// Shows a value of `target` to a hundred-thousandth of its deviation, in 6 to 15 digits: more than the model resolves.
std::string value_text(double value, const Column& target) {
  const double decimals = std::max(5 - std::floor(std::log10(target.std)), 0.0);
  const double digits = std::floor(std::log10(std::abs(value))) + 1 + decimals;
  return fmt::format("{:.{}g}", value, static_cast<int>(std::fmax(6, std::fmin(digits, 15))));
}

// A histogram of the errors in equal intervals around 0 that cover 99% of them; the outermost ones include the rest.
Json distribution(const at::Tensor& all) {
  const at::Tensor errors = all.nan_to_num();
  const at::Tensor sizes = std::get<0>(errors.abs().sort());
  const double reach = std::max(sizes[sizes.numel() * 99 / 100].item<double>(), 1e-300);
  const at::Tensor bins = ((errors / reach + 1) / 2 * error_bins).floor().clamp(0, error_bins - 1).to(at::kLong);
  const at::Tensor counts = bins.bincount({}, error_bins).to(at::kDouble);
  Json samples = Json::array();
  for (const double count : list_of(counts)) samples.push_back(static_cast<std::int64_t>(count));
  return {{"low", -reach}, {"high", reach}, {"samples", std::move(samples)}};
}

class RegressionEvaluation final : public Evaluation {
 public:
  RegressionEvaluation(const std::vector<Column>& targets, std::size_t worst)
      : targets_(targets), std_(of_targets(targets, &Column::std)), worst_(worst) {}

  void add(const DeviceBatch& raw, const TensorDict& batch, const TensorDict& outputs,
           std::span<const std::uint64_t> indices) override {
    predictions_.push_back(in_own_units(outputs.at("logits"), targets_));
    truths_.push_back(batch.at("target").cpu().to(at::kDouble));
    const auto [largest, places] = ((predictions_.back() - truths_.back()) / std_).abs().max(1);
    for (std::int64_t i = 0; i < largest.size(0); ++i) {
      const auto deviations = largest[i].item<double>();
      if (!worst_.takes(deviations)) continue;
      worst_.add(deviations, mistake(raw, i, indices[static_cast<std::size_t>(i)], places[i].item<std::int64_t>()));
    }
  }

  Findings findings(Model& /*model*/) override {
    Findings result;
    result.targets = Json::array();
    const at::Tensor predictions = at::cat(predictions_);
    const at::Tensor truths = at::cat(truths_);
    const at::Tensor z = (truths - of_targets(targets_, &Column::mean)) / std_;
    const at::Tensor e = (predictions - truths) / std_;
    std::vector<double> sums = list_of(at::stack({e.abs(), e.square(), z, z.square()}).sum(1));
    sums.push_back(static_cast<double>(truths.size(0)));
    const std::vector<TargetFigures> figures = figures_of(sums, targets_);
    const std::int64_t points = std::min(max_points, truths.size(0));
    const at::Tensor shown = (at::arange(points, at::kLong) * truths.size(0)).div(points, "floor");
    for (std::size_t k = 0; k < targets_.size(); ++k) {
      const auto column = static_cast<std::int64_t>(k);
      result.targets.push_back({{"name", targets_[k].name},
                                {"r2", figures[k].r2},
                                {"mae", figures[k].mae},
                                {"rmse", figures[k].rmse},
                                {"truth", list_of(truths.select(1, column).index_select(0, shown))},
                                {"prediction", list_of(predictions.select(1, column).index_select(0, shown))},
                                {"errors", distribution(predictions.select(1, column) - truths.select(1, column))}});
    }
    result.worst_title = "largest errors";
    result.worst = worst_.take();
    return result;
  }

 private:
  ShownSample mistake(const DeviceBatch& raw, std::int64_t i, std::uint64_t index, std::int64_t target) const {
    const auto truth = truths_.back()[i][target].item<double>();
    const auto prediction = predictions_.back()[i][target].item<double>();
    const Column& column = targets_[static_cast<std::size_t>(target)];
    ShownSample shown{.index = index,
                      .caption = fmt::format("{} is {}, predicted {}", printable(column.name),
                                             value_text(truth, column), value_text(prediction, column)),
                      .figures = {{"target", column.name}, {"truth", truth}, {"prediction", prediction}}};
    if (const DeviceField* const image = raw.find("image")) shown.image = sample_image(*image, i);
    return shown;
  }

  std::vector<Column> targets_;
  at::Tensor std_;
  std::vector<at::Tensor> predictions_;  // per batch, in the targets' units
  std::vector<at::Tensor> truths_;
  Worst<ShownSample> worst_;
};

}  // namespace

std::vector<TargetFigures> figures_of(std::span<const double> sums, const std::vector<Column>& targets) {
  const std::size_t count = targets.size();
  const double samples = sums[4 * count];
  if (samples == 0) return {};
  std::vector<TargetFigures> figures;
  for (std::size_t k = 0; k < count; ++k) {
    const double squared_error = sums[count + k];
    const double total = sums[2 * count + k];
    const double variation = sums[3 * count + k] - total * total / samples;
    const bool is_constant = variation <= 1e-12 * samples;  // zero up to rounding
    figures.push_back({.mae = targets[k].std * sums[k] / samples,
                       .rmse = targets[k].std * std::sqrt(squared_error / samples),
                       .r2 = is_constant ? (squared_error == 0 ? 1.0 : 0.0) : 1 - squared_error / variation,
                       .is_constant = is_constant});
  }
  return figures;
}

at::Tensor in_own_units(const at::Tensor& logits, const std::vector<Column>& targets) {
  return logits.cpu().to(at::kDouble) * of_targets(targets, &Column::std) + of_targets(targets, &Column::mean);
}

std::unique_ptr<Evaluation> regression_evaluation(const std::vector<Column>& targets, std::size_t worst) {
  return std::make_unique<RegressionEvaluation>(targets, worst);
}

std::vector<Prediction> regression_predictions(const at::Tensor& values, const std::vector<Column>& targets) {
  std::vector<Prediction> result;
  for (std::int64_t row = 0; row < values.size(0); ++row) {
    Prediction prediction{.text = "", .json = {{"predictions", Json::array()}}};
    const std::vector<double> numbers = list_of(values[row]);
    for (std::size_t k = 0; k < targets.size(); ++k) {
      prediction.text += fmt::format("  {:>12}  {}\n", value_text(numbers[k], targets[k]), printable(targets[k].name));
      prediction.json["predictions"].push_back({{"target", targets[k].name}, {"value", numbers[k]}});
    }
    result.push_back(std::move(prediction));
  }
  return result;
}

}  // namespace trainyard
