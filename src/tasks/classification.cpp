// Classification with one class per sample: cross-entropy, focal loss or binary cross-entropy against the field
// "label", or against soft targets in the field "target".

#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/one_hot.h>

#include "config/component.h"
#include "layers/cross_entropy.h"
#include "tasks/class_weights.h"
#include "tasks/classification_evaluation.h"
#include "tasks/findings.h"
#include "tasks/mix.h"
#include "tasks/model_fields.h"
#include "tasks/ranking.h"
#include "tasks/task.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr std::int64_t no_class = -100;  // no label has this value

enum class LossKind : std::uint8_t { cross_entropy, focal, bce };
constexpr std::array<const char*, 3> words_of(LossKind) { return {"cross_entropy", "focal", "bce"}; }

struct ClassificationSettings {
  LossKind loss = LossKind::cross_entropy;
  double focal_gamma = 2;
  double label_smoothing = 0;
  double mixup = 0;
  double cutmix = 0;
  std::vector<std::string> class_weights;
  int top_k = 5;
  bool auc = false;

  void declare(SettingTable& table) {
    table.add(
        "loss", loss,
        "cross_entropy; focal, which gives confident predictions less weight; bce, binary cross-entropy per class",
        Resume::if_named);
    table
        .add("focal_gamma", focal_gamma, "focal: how strongly to reduce the weight of confident predictions",
             number(1, 10), Resume::if_named)
        .only_if(loss == LossKind::focal, "task.classification.loss", "= focal");
    table
        .add("label_smoothing", label_smoothing, "share of the target that is spread over all classes",
             number(0, 0.999), Resume::if_named)
        .formerly("train.label_smoothing");
    table.add("mixup", mixup, "alpha of mixup; 0: none", number(0, 4), Resume::if_named).formerly("train.mixup");
    table
        .add("cutmix", cutmix, "alpha of cutmix; 0: none; with mixup, a step uses one of the two", number(0, 4),
             Resume::if_named)
        .formerly("train.cutmix");
    table.add("class_weights", class_weights, "balanced, or a weight for each class; empty: equal weights",
              Resume::if_named);
    table.add("top_k", top_k,
              "for val and test, also count a sample as correct if its class is among this many best guesses",
              whole(1, 1000), Resume::free);
    table.add("auc", auc,
              "for val and test, also compute the area under the ROC curve, one class against the rest, averaged",
              Resume::free);
  }
  void validate() const {
    if (loss == LossKind::focal && label_smoothing > 0) {
      throw UsageError("task.classification.label_smoothing", "has no meaning in a focal loss; set it to 0");
    }
  }
};
const ComponentSettings<ClassificationSettings> settings{"task.classification", {"classification"}, __FILE__};

class Classification final : public Task {
 public:
  Classification(const ClassificationSettings& config, const TaskData& data, at::Device device)
      : config_(config), class_names_(data.class_names), fields_(data, "classification", device) {
    check(data);
    if (!fields_.has_image() && (config.mixup > 0 || config.cutmix > 0)) {
      throw UsageError("task.classification", "mixup and cutmix mix images; the data have {}: set both to 0",
                       describe(data.fields));
    }
    input_ = {.fields = fields_.fields(), .outputs = classes(), .logits = {classes()}};
    soft_ = find_field(data.fields, "label") == nullptr;
    weights_ =
        class_weights("task.classification.class_weights", config.class_weights, classes(), data.class_counts, device);
  }

  ModelInput model_input() const override { return input_; }

  TensorDict prepare(const DeviceBatch& batch) const override {
    TensorDict prepared = fields_.prepare(batch);
    for (const char* const target : {"label", "target"}) {
      if (const DeviceField* const field = batch.find(target)) prepared.set(target, field->tensor());
    }
    return prepared;
  }

  void augment(TensorDict& batch, const BatchKey& key) const override {
    mix(batch, target_name(), config_.mixup, config_.cutmix, key);
  }

  std::string training_extras() const override {
    std::string extras;
    const auto add = [&](double amount, const char* name) {
      if (amount > 0) extras += (extras.empty() ? "" : ", ") + std::string(name);
    };
    add(config_.label_smoothing, "label smoothing");
    add(config_.mixup, "mixup");
    add(config_.cutmix, "cutmix");
    return extras;
  }

  Loss loss(const TensorDict& outputs, const TensorDict& batch, Phase phase) const override {
    const at::Tensor& logits = outputs.at("logits");
    Loss loss = loss_against(logits, batch.at(target_name()), phase);
    const at::Tensor* const other = batch.find("other_" + target_name());
    if (other == nullptr) return loss;
    const at::Tensor& share = batch.at("share");
    const Loss other_loss = loss_against(logits, *other, phase);
    return {.sum = share * loss.sum + (1 - share) * other_loss.sum,
            .weight = share * loss.weight + (1 - share) * other_loss.weight};
  }

  std::vector<Metric> metrics(Phase phase) const override {
    std::vector<Metric> result = {ratio("accuracy", [this](const MetricInput& input) {
      return share_of(input.outputs.at("logits").argmax(1).eq(labels(input.batch)));
    })};
    if (phase == Phase::evaluate && config_.top_k < classes()) {
      result.push_back(ratio(fmt::format("top{}", config_.top_k), [this](const MetricInput& input) {
        const at::Tensor& logits = input.outputs.at("logits");
        const at::Tensor at_label = logits.gather(1, labels(input.batch).unsqueeze(1));
        return share_of(logits.gt(at_label).sum(1).lt(config_.top_k));
      }));
    }
    return result;
  }

  std::vector<CollectedMetric> collected_metrics() const override {
    if (!config_.auc) return {};
    return {{.name = "auc",
             .columns = classes() + 1,
             .rows =
                 [this](const MetricInput& input) {
                   const at::Tensor& logits = input.outputs.at("logits");
                   const at::Tensor scores = config_.loss == LossKind::bce ? logits : logits.log_softmax(1);
                   return at::cat({scores.to(at::kFloat), labels(input.batch).unsqueeze(1).to(at::kFloat)}, 1);
                 },
             .values = [classes = classes()](const at::Tensor& rows) -> MetricValues {
               const at::Tensor is_class = at::one_hot(rows.select(1, classes).to(at::kLong), classes);
               return {{"auc", macro_average(roc_aucs(rows.narrow(1, 0, classes), is_class))}};
             }}};
  }

  Monitor monitor() const override { return {.metric = "accuracy", .higher_is_better = true}; }

  std::optional<TensorDict> unmirrored(const TensorDict& outputs) const override { return outputs; }

  std::unique_ptr<Evaluation> evaluation(std::size_t worst) const override {
    return classification_evaluation(class_names_, [this](const TensorDict& batch) { return labels(batch); }, worst);
  }

  std::vector<std::string> predict_options() const override { return {"top"}; }
  std::vector<Prediction> predict(const TensorDict& outputs, const PredictOptions& options) const override {
    const at::Tensor& logits = outputs.at("logits");
    const bool independent = config_.loss == LossKind::bce;  // each class has its own probability
    return classification_predictions((independent ? logits.sigmoid() : logits.softmax(1)).cpu(), class_names_,
                                      options.top);
  }

 private:
  std::int64_t classes() const { return static_cast<std::int64_t>(class_names_.size()); }
  std::string target_name() const { return soft_ ? "target" : "label"; }

  static void check(const TaskData& data) {
    const auto classes = static_cast<std::int64_t>(data.class_names.size());
    if (classes == 0) throw UsageError("task.name", "classification needs class names; the data have none");
    if (classes == 1) {  // the loss is 0, and the accuracy 1, whatever the model computes
      throw UsageError("data.root", "the data have one class, '{}': to classify, give samples of two or more",
                       printable(data.class_names.front()));
    }
    if (const Field* const label = find_field(data.fields, "label")) {
      if (label->dtype == DType::int64 && label->shape.empty() && label->values && label->values->count == classes) {
        return;
      }
      throw UsageError(
          "task.name",
          "classification needs a field 'label' of type int64, a single value, with as many allowed values "
          "as there are class names, {}; the data have {} with {}",
          classes, describe(std::span(label, 1)),
          label->values ? fmt::format("{} values", label->values->count) : "any values");
    }
    const Field* const target = find_field(data.fields, "target");
    if (target != nullptr && target->dtype == DType::float32 && target->shape == std::vector{classes}) return;
    throw UsageError("task.name",
                     "classification needs samples with a field 'label', or 'target' (float32, one share for each of "
                     "the {} classes); the data have {}",
                     classes, describe(data.fields));
  }

  at::Tensor labels(const TensorDict& batch) const { return soft_ ? batch.at("target").argmax(1) : batch.at("label"); }

  // target: int64 N, or float32 N × classes.
  Loss loss_against(const at::Tensor& logits, const at::Tensor& target, Phase phase) const {
    const double smoothing = phase == Phase::train ? config_.label_smoothing : 0;
    const at::Tensor count = at::full({}, static_cast<double>(logits.size(0)), logits.options());
    if (config_.loss == LossKind::bce) return {binary_cross_entropy(logits, target, smoothing), count};
    const at::Tensor hard = soft_ ? target.argmax(1) : target;
    const at::Tensor weight = weights_.defined() ? weights_.index_select(0, hard).sum() : count;
    if (config_.loss == LossKind::focal) {
      const at::Tensor each = at::cross_entropy_loss(logits, target, /*weight=*/{}, at::Reduction::None);
      const at::Tensor factor = (1 - (-each).exp()).pow(config_.focal_gamma);
      const at::Tensor scaled = weights_.defined() ? each * weights_.index_select(0, hard) : each;
      return {(factor * scaled).sum(), weight};
    }
    if (!soft_ && !weights_.defined()) return {cross_entropy(logits, target, no_class, smoothing).sum(), weight};
    return {at::cross_entropy_loss(logits, target, weights_.defined() ? std::optional(weights_) : std::nullopt,
                                   at::Reduction::Sum, no_class, smoothing),
            weight};
  }

  // The mean over the classes of each sample, summed over the samples, like timm's BinaryCrossEntropy.
  at::Tensor binary_cross_entropy(const at::Tensor& logits, const at::Tensor& target, double smoothing) const {
    at::Tensor shares = soft_ ? target : at::one_hot(target, classes());
    shares = shares.to(logits.scalar_type()) * (1 - smoothing) + smoothing / static_cast<double>(classes());
    const at::Tensor each = at::binary_cross_entropy_with_logits(
        logits, shares, weights_.defined() ? std::optional(weights_) : std::nullopt, {}, at::Reduction::None);
    return each.mean(1).sum();
  }

  ClassificationSettings config_;
  std::vector<std::string> class_names_;
  ModelFields fields_;
  ModelInput input_;
  bool soft_ = false;
  at::Tensor weights_;  // undefined: all weights are equal
};

const TaskRegistry::Registration registered{
    "classification", "one class per image or table row: the field label (or target)",
    [](const TaskConfig& config, const TaskData& data, at::Device device) -> std::unique_ptr<Task> {
      return std::make_unique<Classification>(settings.in(config), data, device);
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
