#include "tasks/segmentation_evaluation.h"

#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ATen/ops/zeros_like.h>

#include "tasks/confusion.h"
#include "tasks/palette.h"
#include "tasks/sample_image.h"
#include "tasks/worst.h"
#include "util/printable.h"

namespace trainyard {
namespace {

using Json = nlohmann::ordered_json;

/// One class of a confusion matrix.
struct ClassPixels {
  double labels = 0;
  double guesses = 0;
  double both = 0;
  double either() const { return labels + guesses - both; }
};

ClassPixels class_pixels(std::span<const double> confusion, std::int64_t classes, std::int64_t c) {
  const auto at = [&](std::int64_t label, std::int64_t guess) {
    return confusion[static_cast<std::size_t>(label * classes + guess)];
  };
  ClassPixels result{.both = at(c, c)};
  for (std::int64_t other = 0; other < classes; ++other) {
    result.labels += at(c, other);
    result.guesses += at(other, c);
  }
  return result;
}

std::span<const double> values_of(const at::Tensor& confusion) {
  return {confusion.const_data_ptr<double>(), static_cast<std::size_t>(confusion.numel())};
}

// mask: int64, height × width, on the CPU; values that do not fit in a byte are not classes.
Image mask_image(const at::Tensor& mask) {
  const at::Tensor bytes = mask.to(at::kByte).contiguous();
  Image image{static_cast<std::size_t>(mask.size(0)), static_cast<std::size_t>(mask.size(1)), 1,
              std::vector<std::byte>(bytes.nbytes())};
  std::memcpy(image.pixels.data(), bytes.const_data_ptr(), image.pixels.size());
  return image;
}

class SegmentationEvaluation final : public Evaluation {
 public:
  SegmentationEvaluation(const std::vector<std::string>& class_names, std::size_t worst)
      : class_names_(class_names), worst_(worst) {
    confusion_ = at::zeros({classes(), classes()}, at::kDouble);
  }

  void add(const DeviceBatch& raw, const TensorDict& batch, const TensorDict& outputs,
           std::span<const std::uint64_t> indices) override {
    const at::Tensor masks = batch.at("mask").cpu();
    const at::Tensor guesses = outputs.at("logits").argmax(1).cpu();
    for (std::int64_t i = 0; i < masks.size(0); ++i) {
      const at::Tensor confusion = confusion_matrix(masks[i], guesses[i], classes()).contiguous();
      confusion_ += confusion;
      const std::optional<double> miou = mean_iou(values_of(confusion), classes());
      if (!miou || !worst_.takes(1 - *miou)) continue;
      const double iou = *miou;
      const Image image = sample_image(raw.field("image"), i);
      worst_.add(1 - iou, {.index = indices[static_cast<std::size_t>(i)],
                           .caption = fmt::format("mean IoU {:.3f}", iou),
                           .figures = {{"miou", iou}},
                           .image = side_by_side({overlay(image, mask_image(at::zeros_like(masks[i]))),
                                                  overlay(image, mask_image(masks[i])),
                                                  overlay(image, mask_image(guesses[i]))})});
    }
  }

  Findings findings(Model& /*model*/) override {
    Findings result{.classes = Json::array(), .confusion = Json::array()};
    const auto all = values_of(confusion_);
    for (std::int64_t c = 0; c < classes(); ++c) {
      const ClassPixels pixels = class_pixels(all, classes(), c);
      result.classes.push_back({{"name", class_names_[static_cast<std::size_t>(c)]},
                                {"samples", static_cast<std::int64_t>(pixels.labels)},
                                {"guesses", static_cast<std::int64_t>(pixels.guesses)},
                                {"iou", share(pixels.both, pixels.either())},
                                {"recall", share(pixels.both, pixels.labels)},
                                {"dice", share(2 * pixels.both, pixels.labels + pixels.guesses)}});
      for (std::int64_t guess = 0; guess < classes(); ++guess) {
        const double count = all[static_cast<std::size_t>(c * classes() + guess)];
        if (count == 0) continue;
        result.confusion.push_back({{"label", c}, {"guess", guess}, {"samples", static_cast<std::int64_t>(count)}});
      }
    }
    result.unit = "pixels";
    result.ranked_by = "iou";
    result.worst_title = "lowest mean IoU";
    result.worst_images = "image, mask, guess";
    result.worst = worst_.take();
    return result;
  }

 private:
  std::int64_t classes() const { return static_cast<std::int64_t>(class_names_.size()); }

  std::vector<std::string> class_names_;
  at::Tensor confusion_;  // float64, on the CPU
  Worst<ShownSample> worst_;
};

}  // namespace

std::optional<double> mean_iou(std::span<const double> confusion, std::int64_t classes) {
  double sum = 0;
  double occurring = 0;
  for (std::int64_t c = 0; c < classes; ++c) {
    const ClassPixels pixels = class_pixels(confusion, classes, c);
    if (pixels.either() == 0) continue;
    sum += pixels.both / pixels.either();
    ++occurring;
  }
  return quotient(sum, occurring);
}

std::optional<double> pixel_accuracy(std::span<const double> confusion, std::int64_t classes) {
  double right = 0;
  double all = 0;
  for (std::size_t i = 0; i < confusion.size(); ++i) {
    all += confusion[i];
    if (i % static_cast<std::size_t>(classes + 1) == 0) right += confusion[i];
  }
  return quotient(right, all);
}

std::vector<std::uint64_t> labelled_pixels(std::span<const double> confusion, std::int64_t classes) {
  std::vector<std::uint64_t> counts;
  for (std::int64_t c = 0; c < classes; ++c) {
    counts.push_back(static_cast<std::uint64_t>(class_pixels(confusion, classes, c).labels));
  }
  return counts;
}

std::unique_ptr<Evaluation> segmentation_evaluation(const std::vector<std::string>& class_names, std::size_t worst) {
  return std::make_unique<SegmentationEvaluation>(class_names, worst);
}

std::vector<Prediction> segmentation_predictions(const at::Tensor& masks, const std::vector<std::string>& class_names) {
  std::vector<Prediction> result;
  const at::Tensor on_cpu = masks.cpu();
  for (std::int64_t i = 0; i < on_cpu.size(0); ++i) {
    Prediction prediction{.text = "", .json = {{"classes", Json::array()}}};
    prediction.image = mask_image(on_cpu[i]);
    prediction.palette = mask_palette();
    const at::Tensor counts = on_cpu[i].flatten().bincount({}, static_cast<std::int64_t>(class_names.size()));
    const auto pixels = static_cast<double>(on_cpu[i].numel());
    for (std::size_t c = 0; c < class_names.size(); ++c) {
      const double part = counts[static_cast<std::int64_t>(c)].item<double>() / pixels;
      if (part == 0) continue;
      prediction.text += fmt::format("  {:6.2f} %  {}\n", 100 * part, printable(class_names[c]));
      prediction.json["classes"].push_back({{"class", class_names[c]}, {"index", c}, {"share", part}});
    }
    result.push_back(std::move(prediction));
  }
  return result;
}

}  // namespace trainyard
