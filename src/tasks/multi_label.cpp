// Multi-label classification: binary cross-entropy or the asymmetric loss against the field "labels". Both are the mean
// over the labels of each sample.

#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/log_sigmoid.h>

#include "config/component.h"
#include "tasks/class_weights.h"
#include "tasks/findings.h"
#include "tasks/mix.h"
#include "tasks/multi_label_evaluation.h"
#include "tasks/ranking.h"
#include "tasks/task.h"
#include "util/count_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

enum class LossKind : std::uint8_t { bce, asymmetric };
constexpr std::array<const char*, 2> words_of(LossKind) { return {"bce", "asymmetric"}; }

struct MultiLabelSettings {
  LossKind loss = LossKind::bce;
  double gamma_pos = 1;
  double gamma_neg = 4;
  double clip = 0.05;
  std::vector<std::string> positive_weights;
  double mixup = 0;
  double cutmix = 0;
  double threshold = 0.5;

  void declare(SettingTable& table) {
    const bool asymmetric = loss == LossKind::asymmetric;
    table.add("loss", loss,
              "bce, binary cross-entropy; asymmetric, which gives confident predictions less weight, above all for "
              "absent labels",
              Resume::if_named);
    table
        .add("gamma_pos", gamma_pos,
             "asymmetric: how strongly to reduce the weight of confident predictions for present labels", number(0, 10),
             Resume::if_named)
        .only_if(asymmetric, "task.multi_label.loss", "= asymmetric");
    table.add("gamma_neg", gamma_neg, "asymmetric: the same for absent labels", number(0, 10), Resume::if_named)
        .only_if(asymmetric, "task.multi_label.loss", "= asymmetric");
    table
        .add("clip", clip, "asymmetric: for absent labels, predicted probabilities below this count as 0",
             number(0, 0.5), Resume::if_named)
        .only_if(asymmetric, "task.multi_label.loss", "= asymmetric");
    table.add("positive_weights", positive_weights,
              "weight of the samples that have a label: balanced, or a number for each label; empty: 1",
              Resume::if_named);
    table.add("mixup", mixup, "alpha of mixup; 0: none", number(0, 4), Resume::if_named);
    table.add("cutmix", cutmix, "alpha of cutmix; 0: none; with mixup, a step uses one of the two", number(0, 4),
              Resume::if_named);
    table.add("threshold", threshold, "probability above which a label is predicted", number(0, 1), Resume::if_named);
  }
};
const ComponentSettings<MultiLabelSettings> settings{"task.multi_label", {"multi_label"}, __FILE__};

// 2 tp / (2 tp + fp + fn); 0 if the label neither occurs nor is guessed, as in scikit-learn and torchmetrics.
double f1(double tp, double fp, double fn) { return tp == 0 ? 0 : 2 * tp / (2 * tp + fp + fn); }

class MultiLabel final : public Task {
 public:
  MultiLabel(const MultiLabelSettings& config, const TaskData& data, at::Device device)
      : config_(config), class_names_(data.class_names), normalize_((check(data), normalize_of(data, device))) {
    input_ = {.fields = {*find_field(data.fields, "image")}, .outputs = classes(), .logits = {classes()}};
    weights_ = positive_weights("task.multi_label.positive_weights", config.positive_weights, classes(),
                                data.class_counts, data.samples, device);
  }

  ModelInput model_input() const override { return input_; }

  TensorDict prepare(const DeviceBatch& batch) const override {
    TensorDict prepared;
    const DeviceField& images = batch.field("image");
    prepared.set("image", normalize_(images.data, images.selection));
    // Batches of predict have no labels.
    if (const DeviceField* const labels = batch.find("labels")) prepared.set("labels", labels->tensor().to(at::kFloat));
    return prepared;
  }

  void augment(TensorDict& batch, const BatchKey& key) const override {
    mix(batch, "labels", config_.mixup, config_.cutmix, key);
  }

  std::string training_extras() const override {
    if (config_.mixup == 0) return config_.cutmix > 0 ? "cutmix" : "";
    return config_.cutmix > 0 ? "mixup, cutmix" : "mixup";
  }

  Loss loss(const TensorDict& outputs, const TensorDict& batch, Phase /*phase*/) const override {
    const at::Tensor& logits = outputs.at("logits");
    at::Tensor each = losses(logits, batch.at("labels"));
    if (const at::Tensor* const other = batch.find("other_labels")) {
      const at::Tensor& share = batch.at("share");
      each = share * each + (1 - share) * losses(logits, *other);
    }
    return {.sum = each.mean(1).sum(), .weight = at::full({}, static_cast<double>(logits.size(0)), logits.options())};
  }

  std::vector<Metric> metrics(Phase /*phase*/) const override {
    return {{.name = "label_counts",
             .size = 3 * classes(),
             .sums =
                 [this](const MetricInput& input) {
                   const at::Tensor truth = input.batch.at("labels").gt(0);
                   const at::Tensor guess = guesses(input.outputs);
                   const at::Tensor tp = truth.logical_and(guess).sum(0);
                   return at::cat({tp, guess.sum(0) - tp, truth.sum(0) - tp}).to(at::kDouble);
                 },
             .values = [classes = classes()](std::span<const double> sums) { return f1_values(sums, classes); }},
            ratio("subset_accuracy", [this](const MetricInput& input) {
              return share_of(guesses(input.outputs).eq(input.batch.at("labels").gt(0)).all(1));
            })};
  }

  std::vector<CollectedMetric> collected_metrics() const override {
    return {{.name = "map",
             .columns = 2 * classes(),
             .rows =
                 [](const MetricInput& input) {
                   return at::cat({input.outputs.at("logits").to(at::kFloat), input.batch.at("labels")}, 1);
                 },
             .values = [classes = classes()](const at::Tensor& rows) -> MetricValues {
               const at::Tensor scores = rows.narrow(1, 0, classes);
               return {{"map", macro_average(average_precisions(scores, rows.narrow(1, classes, classes)))}};
             }}};
  }

  Monitor monitor() const override { return {.metric = "map", .higher_is_better = true}; }

  std::optional<TensorDict> unmirrored(const TensorDict& outputs) const override { return outputs; }

  std::unique_ptr<Evaluation> evaluation(std::size_t worst) const override {
    return multi_label_evaluation(class_names_, config_.threshold, worst);
  }

  std::vector<Prediction> predict(const TensorDict& outputs, const PredictOptions& /*options*/) const override {
    return multi_label_predictions(outputs.at("logits").sigmoid().cpu(), class_names_, config_.threshold);
  }

 private:
  std::int64_t classes() const { return static_cast<std::int64_t>(class_names_.size()); }

  static void check(const TaskData& data) {
    required_image(data, "multi_label");
    const Field& labels = required_field(data, "multi_label", "labels");
    const auto classes = static_cast<std::int64_t>(data.class_names.size());
    const bool fits = labels.dtype == DType::uint8 && labels.shape == std::vector{classes} && !labels.varies &&
                      labels.values == ValueRange{2};
    if (fits && classes > 0) return;
    throw UsageError("task.name",
                     "multi_label needs labels (uint8, 0 or 1 for each of at least one class); the data have {} and "
                     "{}",
                     describe(data.fields), count_of(classes, "class", "classes"));
  }

  at::Tensor guesses(const TensorDict& outputs) const { return outputs.at("logits").sigmoid().gt(config_.threshold); }

  static MetricValues f1_values(std::span<const double> sums, std::int64_t classes) {
    double macro = 0;
    double tp = 0;
    double fp = 0;
    double fn = 0;
    const auto count = static_cast<std::size_t>(classes);
    for (std::size_t c = 0; c < count; ++c) {
      macro += f1(sums[c], sums[count + c], sums[2 * count + c]) / static_cast<double>(classes);
      tp += sums[c];
      fp += sums[count + c];
      fn += sums[2 * count + c];
    }
    if (tp + fp + fn == 0) return {{"macro_f1", std::nullopt}, {"micro_f1", std::nullopt}};
    return {{"macro_f1", macro}, {"micro_f1", f1(tp, fp, fn)}};
  }

  // Samples × labels.
  at::Tensor losses(const at::Tensor& logits, const at::Tensor& labels) const {
    if (config_.loss == LossKind::asymmetric) return asymmetric_losses(logits, labels);
    return at::binary_cross_entropy_with_logits(
        logits, labels, {}, weights_.defined() ? std::optional(weights_) : std::nullopt, at::Reduction::None);
  }

  // Ridnik et al. 2021, "Asymmetric Loss for Multi-Label Classification", equation 7. Bases of powers are clamped above
  // 0, because there the gradient of a power below 1 is not finite.
  at::Tensor asymmetric_losses(const at::Tensor& logits, const at::Tensor& labels) const {
    constexpr double least = 1e-8;
    const at::Tensor p = logits.sigmoid();
    const at::Tensor q = (-logits).sigmoid();
    at::Tensor positive = -(q.clamp_min(least).pow(config_.gamma_pos) * at::log_sigmoid(logits));
    if (weights_.defined()) positive = positive * weights_;
    const at::Tensor log_q = config_.clip > 0 ? (q + config_.clip).clamp_max(1).log() : at::log_sigmoid(-logits);
    const at::Tensor negative = -((p - config_.clip).clamp_min(least).pow(config_.gamma_neg) * log_q);
    return labels * positive + (1 - labels) * negative;
  }

  MultiLabelSettings config_;
  std::vector<std::string> class_names_;
  Normalize normalize_;
  ModelInput input_;
  at::Tensor weights_;  // of the positives; undefined: all weights are equal
};

const TaskRegistry::Registration registered{
    "multi_label", "any number of labels per image: fields image and labels",
    [](const TaskConfig& config, const TaskData& data, at::Device device) -> std::unique_ptr<Task> {
      return std::make_unique<MultiLabel>(settings.in(config), data, device);
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
