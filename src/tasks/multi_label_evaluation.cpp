#include "tasks/multi_label_evaluation.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cat.h>

#include "tasks/ranking.h"
#include "tasks/sample_image.h"
#include "tasks/worst.h"
#include "util/first_few.h"
#include "util/printable.h"

namespace trainyard {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t max_named = 5;  // labels named in a caption

class MultiLabelEvaluation final : public Evaluation {
 public:
  MultiLabelEvaluation(const std::vector<std::string>& class_names, double threshold, std::size_t worst)
      : class_names_(class_names), threshold_(threshold), worst_(worst) {}

  void add(const DeviceBatch& raw, const TensorDict& batch, const TensorDict& outputs,
           std::span<const std::uint64_t> indices) override {
    const at::Tensor logits = outputs.at("logits").to(at::kFloat).cpu();
    const at::Tensor labels = batch.at("labels").to(at::kFloat).cpu();
    const at::Tensor probabilities = logits.sigmoid();
    scores_.push_back(logits);
    labels_.push_back(labels);
    const at::Tensor losses =
        at::binary_cross_entropy_with_logits(logits, labels, {}, {}, at::Reduction::None).mean(1).to(at::kDouble);
    const at::Tensor is_wrong = probabilities.gt(threshold_).ne(labels.gt(0)).any(1);
    for (std::int64_t i = 0; i < logits.size(0); ++i) {
      const auto loss = losses[i].item<double>();
      if (!is_wrong[i].item<bool>() || !worst_.takes(loss)) continue;
      worst_.add(loss, mistakes(indices[static_cast<std::size_t>(i)], labels[i], probabilities[i],
                                sample_image(raw.field("image"), i)));
    }
  }

  Findings findings(Model& /*model*/) override {
    Findings result{.classes = Json::array(), .confusion = Json::array()};
    if (!scores_.empty()) add_labels(at::cat(scores_), at::cat(labels_), result.classes);
    result.unit = "images";
    result.ranked_by = "average_precision";
    result.worst_title = "most wrong";
    result.worst = worst_.take();
    return result;
  }

 private:
  void add_labels(const at::Tensor& scores, const at::Tensor& labels, Json& rows) const {
    const std::vector<double> precisions = average_precisions(scores, labels);
    const at::Tensor truth = labels.gt(0);
    const at::Tensor guess = scores.sigmoid().gt(threshold_);
    const auto counts = [](const at::Tensor& is) { return is.sum(0).to(at::kLong).contiguous(); };
    const at::Tensor samples_of = counts(truth);
    const at::Tensor guesses_of = counts(guess);
    const at::Tensor right_of = counts(truth.logical_and(guess));
    for (std::size_t c = 0; c < class_names_.size(); ++c) {
      const auto samples = samples_of.const_data_ptr<std::int64_t>()[c];
      const auto guesses = guesses_of.const_data_ptr<std::int64_t>()[c];
      const auto right = right_of.const_data_ptr<std::int64_t>()[c];
      rows.push_back({{"name", class_names_[c]},
                      {"samples", samples},
                      {"guesses", guesses},
                      {"average_precision", std::isnan(precisions[c]) ? Json() : Json(precisions[c])},
                      {"f1", share(2 * right, samples + guesses)},
                      {"precision", share(right, guesses)},
                      {"recall", share(right, samples)}});
    }
  }

  // labels, probabilities: of one sample.
  ShownSample mistakes(std::uint64_t index, const at::Tensor& labels, const at::Tensor& probabilities,
                       Image image) const {
    Json has = Json::array();
    Json guessed = Json::array();
    std::vector<std::string> missed;
    std::vector<std::string> wrong;
    for (std::size_t c = 0; c < class_names_.size(); ++c) {
      const auto at = static_cast<std::int64_t>(c);
      const auto probability = probabilities[at].item<double>();
      const bool is_label = labels[at].item<float>() > 0;
      const bool is_guess = probabilities[at].gt(threshold_).item<bool>();
      if (is_label) has.push_back(c);
      if (is_guess) guessed.push_back(c);
      if (is_label == is_guess) continue;
      (is_label ? missed : wrong)
          .push_back(fmt::format("{} ({:.1f} %)", printable(class_names_[c]), 100 * probability));
    }
    std::string caption = listed("missed", missed);
    if (!missed.empty() && !wrong.empty()) caption += "; ";
    return {.index = index,
            .caption = caption + listed("wrong", wrong),
            .figures = {{"labels", has}, {"guesses", guessed}},
            .image = std::move(image)};
  }

  static std::string listed(const std::string& what, const std::vector<std::string>& names) {
    return names.empty() ? "" : what + " " + first_few(names, max_named);
  }

  std::vector<std::string> class_names_;
  double threshold_;
  std::vector<at::Tensor> scores_;  // float32, on the CPU, of each batch
  std::vector<at::Tensor> labels_;
  Worst<ShownSample> worst_;
};

}  // namespace

std::unique_ptr<Evaluation> multi_label_evaluation(const std::vector<std::string>& class_names, double threshold,
                                                   std::size_t worst) {
  return std::make_unique<MultiLabelEvaluation>(class_names, threshold, worst);
}

std::vector<Prediction> multi_label_predictions(const at::Tensor& probabilities,
                                                const std::vector<std::string>& class_names, double threshold) {
  std::vector<Prediction> result;
  for (std::int64_t row = 0; row < probabilities.size(0); ++row) {
    const auto [values, indices] = probabilities[row].sort(/*dim=*/0, /*descending=*/true);
    const auto above = values.gt(threshold).sum().item<std::int64_t>();
    Prediction prediction{.text = "", .json = {{"predictions", Json::array()}}};
    for (std::int64_t i = 0; i < above; ++i) {
      const auto index = indices[i].item<std::int64_t>();
      const std::string& name = class_names[static_cast<std::size_t>(index)];
      const auto probability = values[i].item<double>();
      prediction.text += fmt::format("  {:6.2f} %  {}\n", 100 * probability, printable(name));
      prediction.json["predictions"].push_back({{"class", name}, {"index", index}, {"probability", probability}});
    }
    if (above == 0) prediction.text = fmt::format("  no label above {:.2f} %\n", 100 * threshold);
    result.push_back(std::move(prediction));
  }
  return result;
}

}  // namespace trainyard
