// Regression of the field "target", with one or several targets. Models return standardized values, by the targets'
// mean and standard deviation in train as declared by the data; metrics and predictions are in the targets' units.

#include <cmath>

#include <fmt/ranges.h>

#include <ATen/ops/cat.h>
#include <ATen/ops/huber_loss.h>
#include <ATen/ops/l1_loss.h>
#include <ATen/ops/mse_loss.h>

#include "config/component.h"
#include "tasks/findings.h"
#include "tasks/model_fields.h"
#include "tasks/regression_evaluation.h"
#include "tasks/task.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

enum class LossKind : std::uint8_t { mse, l1, huber };
constexpr std::array<const char*, 3> words_of(LossKind) { return {"mse", "l1", "huber"}; }

struct RegressionSettings {
  LossKind loss = LossKind::mse;
  double huber_delta = 1;

  void declare(SettingTable& table) {
    table.add("loss", loss,
              "on standardized targets: mse, the squared error; l1, the absolute error, which is less sensitive to "
              "outliers; huber, squared for small errors and absolute for large ones",
              Resume::if_named);
    table
        .add("huber_delta", huber_delta, "huber: errors above this many standard deviations of the target are large",
             number(1e-3, 1e3), Resume::if_named)
        .only_if(loss == LossKind::huber, "task.regression.loss", "= huber");
  }
};
const ComponentSettings<RegressionSettings> settings{"task.regression", {"regression"}, __FILE__};

class Regression final : public Task {
 public:
  Regression(const RegressionSettings& config, const TaskData& data, at::Device device)
      : config_(config), fields_(data, "regression", device), targets_(targets_of(data)) {
    const auto count = std::ssize(targets_);
    input_ = {.fields = fields_.fields(), .outputs = count, .logits = {count}};
    std::vector<double> means;
    std::vector<double> stds;
    for (const Column& target : targets_) {
      means.push_back(target.mean);
      stds.push_back(target.std);
    }
    mean_ = at::tensor(means, at::kDouble).to(device);
    std_ = at::tensor(stds, at::kDouble).to(device);
  }

  ModelInput model_input() const override { return input_; }

  TensorDict prepare(const DeviceBatch& batch) const override {
    TensorDict prepared = fields_.prepare(batch);
    if (const DeviceField* const target = batch.find("target")) {
      prepared.set("target", target->tensor().reshape({-1, input_.outputs}));
    }
    return prepared;
  }

  // The mean over the targets of each sample, summed over the samples.
  Loss loss(const TensorDict& outputs, const TensorDict& batch, Phase /*phase*/) const override {
    const at::Tensor& logits = outputs.at("logits");
    const at::Tensor target = standardized(batch).to(logits.scalar_type());
    return {.sum = errors(logits, target).mean(1).sum(),
            .weight = at::full({}, static_cast<double>(logits.size(0)), logits.options())};
  }

  // For each target the sums of |error|, error², target and target², and then the number of samples. Values are
  // standardized, so that float64 has enough digits for the differences in R².
  std::vector<Metric> metrics(Phase /*phase*/) const override {
    return {{.name = "errors",
             .size = 4 * input_.outputs + 1,
             .sums =
                 [this](const MetricInput& input) {
                   const at::Tensor target = standardized(input.batch);
                   const at::Tensor error = input.outputs.at("logits").to(at::kDouble) - target;
                   const at::Tensor sums = at::stack({error.abs(), error.square(), target, target.square()}).sum(1);
                   return at::cat({sums.flatten(), at::full({1}, static_cast<double>(target.size(0)), sums.options())});
                 },
             .values = [this](std::span<const double> sums) -> MetricValues {
               const std::vector<TargetFigures> figures = figures_of(sums, targets_);
               const auto mean = [&](double TargetFigures::* figure) {
                 double sum = 0;
                 for (const TargetFigures& one : figures) sum += one.*figure;
                 return quotient(sum, static_cast<double>(figures.size()));
               };
               return {{"r2", mean(&TargetFigures::r2)},
                       {"mae", mean(&TargetFigures::mae)},
                       {"rmse", mean(&TargetFigures::rmse)}};
             },
             .warning = [this](std::span<const double> sums) { return warning_about(figures_of(sums, targets_)); }}};
  }

  Monitor monitor() const override { return {.metric = "r2", .higher_is_better = true}; }

  std::unique_ptr<Evaluation> evaluation(std::size_t worst) const override {
    return regression_evaluation(targets_, worst);
  }

  std::vector<Prediction> predict(const TensorDict& outputs, const PredictOptions& /*options*/) const override {
    return regression_predictions(in_own_units(outputs.at("logits"), targets_), targets_);
  }

 private:
  static std::vector<Column> targets_of(const TaskData& data) {
    const Field& target = required_field(data, "regression", "target");
    if (!is_floating_point(target.dtype) || target.shape.size() > 1 || target.varies) {
      throw UsageError(
          "task.name",
          "regression needs a target of floating-point numbers, one or a fixed number per sample; the data have {}",
          describe(data.fields));
    }
    if (!target.columns.empty()) return target.columns;
    std::vector<Column> targets(target.elements());
    for (std::size_t i = 0; i < targets.size(); ++i) {
      targets[i].name = targets.size() == 1 ? "target" : fmt::format("target {}", i);
    }
    return targets;
  }

  std::string warning_about(const std::vector<TargetFigures>& figures) const {
    std::vector<std::string> constant;
    for (std::size_t k = 0; k < figures.size(); ++k) {
      if (figures[k].is_constant) constant.push_back(fmt::format("'{}'", printable(targets_[k].name)));
    }
    return constant.empty()
               ? ""
               : fmt::format("the target {} is constant, so that r2 means nothing", fmt::join(constant, ", "));
  }

  at::Tensor standardized(const TensorDict& batch) const { return (batch.at("target").to(at::kDouble) - mean_) / std_; }

  at::Tensor errors(const at::Tensor& logits, const at::Tensor& target) const {
    switch (config_.loss) {
      case LossKind::mse:
        return at::mse_loss(logits, target, at::Reduction::None);
      case LossKind::l1:
        return at::l1_loss(logits, target, at::Reduction::None);
      case LossKind::huber:
        break;
    }
    return at::huber_loss(logits, target, at::Reduction::None, config_.huber_delta);
  }

  RegressionSettings config_;
  ModelFields fields_;
  std::vector<Column> targets_;
  ModelInput input_;
  at::Tensor mean_;  // float64, one value per target
  at::Tensor std_;
};

const TaskRegistry::Registration registered{
    "regression", "one or more numbers per image or table row: the field target",
    [](const TaskConfig& config, const TaskData& data, at::Device device) -> std::unique_ptr<Task> {
      return std::make_unique<Regression>(settings.in(config), data, device);
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
