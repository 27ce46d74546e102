// Semantic segmentation: cross-entropy and Dice loss against the field "mask".

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/one_hot.h>

#include "config/component.h"
#include "datasets/class_counts.h"
#include "tasks/class_weights.h"
#include "tasks/confusion.h"
#include "tasks/findings.h"
#include "tasks/segmentation_evaluation.h"
#include "tasks/task.h"
#include "util/count_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

struct SegmentationSettings {
  double dice = 1;
  double aux = 0.5;
  std::vector<std::string> class_weights;

  void declare(SettingTable& table) {
    table.add("dice", dice, "weight of the Dice loss beside the cross-entropy; 0: none", number(0, 100),
              Resume::if_named);
    table.add("aux", aux, "weight of the loss of the model's auxiliary output, if it has one", number(0, 100),
              Resume::if_named);
    table.add("class_weights", class_weights, "a weight for each class; empty: equal weights", Resume::if_named);
  }
};
const ComponentSettings<SegmentationSettings> settings{"task.segmentation", {"segmentation"}, __FILE__};

class Segmentation final : public Task {
 public:
  Segmentation(const SegmentationSettings& config, const TaskData& data, at::Device device)
      : config_(config), class_names_(data.class_names), normalize_((check(data), normalize_of(data, device))) {
    const Field& image = *find_field(data.fields, "image");
    input_ = {.fields = {image}, .outputs = classes(), .logits = {classes(), image.shape[0], image.shape[1]}};
    ignored_ = find_field(data.fields, "mask")->values->ignored.value_or(-1);
    weights_ = class_weights("task.segmentation.class_weights", config.class_weights, classes(), {}, device);
  }

  ModelInput model_input() const override { return input_; }

  TensorDict prepare(const DeviceBatch& batch) const override {
    TensorDict prepared;
    const DeviceField& images = batch.field("image");
    prepared.set("image", normalize_(images.data, images.selection));
    if (const DeviceField* const mask = batch.find("mask")) prepared.set("mask", mask->tensor().to(at::kLong));
    return prepared;
  }

  Loss loss(const TensorDict& outputs, const TensorDict& batch, Phase phase) const override {
    const at::Tensor& mask = batch.at("mask");
    const at::Tensor valid = mask.ne(ignored_);
    const at::Tensor classes_of_valid = mask.where(valid, 0);
    at::Tensor pixel_weights = valid.to(at::kFloat);
    if (weights_.defined())
      pixel_weights = pixel_weights * weights_.index_select(0, classes_of_valid.flatten()).view_as(mask);
    const at::Tensor sample_weights = pixel_weights.sum({1, 2});
    const at::Tensor& logits = outputs.at("logits");
    at::Tensor sum = cross_entropy(logits, mask);
    if (config_.dice > 0) {
      sum = sum + config_.dice * (dice_losses(logits, classes_of_valid, valid) * sample_weights).sum();
    }
    const at::Tensor* const aux = outputs.find("aux");
    if (phase == Phase::train && aux != nullptr) sum = sum + config_.aux * cross_entropy(*aux, mask);
    return {.sum = sum, .weight = sample_weights.sum()};
  }

  std::vector<Metric> metrics(Phase /*phase*/) const override {
    return {{.name = "confusion",
             .size = classes() * classes(),
             .sums =
                 [this](const MetricInput& input) {
                   const at::Tensor guesses = input.outputs.at("logits").argmax(1);
                   return confusion_matrix(input.batch.at("mask"), guesses, classes()).flatten();
                 },
             .values = [classes = classes()](std::span<const double> sums) -> MetricValues {
               return {{"miou", mean_iou(sums, classes)}, {"pixel_accuracy", pixel_accuracy(sums, classes)}};
             },
             .warning = [this](std::span<const double> sums) { return warning_about(sums); }}};
  }

  Monitor monitor() const override { return {.metric = "miou", .higher_is_better = true}; }

  std::optional<TensorDict> unmirrored(const TensorDict& outputs) const override {
    TensorDict result;
    for (const auto& [name, scores] : outputs) result.set(name, scores.flip(3));
    return result;
  }

  std::unique_ptr<Evaluation> evaluation(std::size_t worst) const override {
    return segmentation_evaluation(class_names_, worst);
  }

  std::vector<std::string> predict_options() const override { return {"output"}; }
  std::vector<Prediction> predict(const TensorDict& outputs, const PredictOptions& /*options*/) const override {
    return segmentation_predictions(outputs.at("logits").argmax(1), class_names_);
  }

 private:
  std::int64_t classes() const { return static_cast<std::int64_t>(class_names_.size()); }

  static void check(const TaskData& data) {
    const Field& image = required_image(data, "segmentation");
    const Field& mask = required_field(data, "segmentation", "mask");
    const auto classes = static_cast<std::int64_t>(data.class_names.size());
    const bool fits = mask.is_mask() && mask.shape[0] == image.shape[0] && mask.shape[1] == image.shape[1] &&
                      mask.values && mask.values->count == classes && classes >= 2;
    if (fits) return;
    throw UsageError("task.name",
                     "segmentation needs a mask of the image's size with at least two classes; the data have {} and "
                     "{}",
                     describe(data.fields), count_of(classes, "class", "classes"));
  }

  std::string warning_about(std::span<const double> confusion) const {
    std::string warning = classes_without_samples(labelled_pixels(confusion, classes()), class_names_, "pixels");
    if (warning.empty() || ignored_ < 0) return warning;
    return warning + fmt::format(
                         "; a mask holds the index of each pixel's class, and {0} for none (in masks of 0 and "
                         "{0}, write 1 for {0})",
                         ignored_);
  }

  // Flattens the pixels, because LibTorch's loss for images is not deterministic on a GPU.
  at::Tensor cross_entropy(const at::Tensor& logits, const at::Tensor& mask) const {
    return at::cross_entropy_loss(logits.permute({0, 2, 3, 1}).reshape({-1, classes()}), mask.flatten(),
                                  weights_.defined() ? std::optional(weights_) : std::nullopt, at::Reduction::Sum,
                                  ignored_);
  }

  // 1 - Dice of each sample: N. Dice is the mean over the classes that occur in the sample's mask (Milletari et al.
  // 2016, "V-Net", with sums instead of squares).
  at::Tensor dice_losses(const at::Tensor& logits, const at::Tensor& mask, const at::Tensor& valid) const {
    const at::Tensor inside = valid.unsqueeze(1).to(logits.scalar_type());
    const at::Tensor guess = logits.softmax(1) * inside;
    const at::Tensor truth = at::one_hot(mask, classes()).permute({0, 3, 1, 2}).to(logits.scalar_type()) * inside;
    const at::Tensor pixels = truth.sum({2, 3});
    const at::Tensor dice = 2 * (guess * truth).sum({2, 3}) / (guess.sum({2, 3}) + pixels).clamp_min(1);
    const at::Tensor present = pixels.gt(0).to(logits.scalar_type());
    return 1 - (dice * present).sum(1) / present.sum(1).clamp_min(1);
  }

  SegmentationSettings config_;
  std::vector<std::string> class_names_;
  Normalize normalize_;
  ModelInput input_;
  std::int64_t ignored_ = -1;
  at::Tensor weights_;  // undefined: all weights are equal
};

const TaskRegistry::Registration registered{
    "segmentation", "one class per pixel: fields image and mask",
    [](const TaskConfig& config, const TaskData& data, at::Device device) -> std::unique_ptr<Task> {
      return std::make_unique<Segmentation>(settings.in(config), data, device);
    },
    __FILE__};

}  // namespace
}  // namespace trainyard
