#include "tasks/classification_evaluation.h"

#include <cmath>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tasks/sample_image.h"
#include "tasks/worst.h"
#include "util/printable.h"

namespace trainyard {
namespace {

using Json = nlohmann::ordered_json;

class ClassificationEvaluation final : public Evaluation {
 public:
  ClassificationEvaluation(const std::vector<std::string>& class_names,
                           std::function<at::Tensor(const TensorDict&)> labels_of, std::size_t worst)
      : class_names_(class_names), labels_of_(std::move(labels_of)), worst_(worst) {}

  void add(const DeviceBatch& raw, const TensorDict& batch, const TensorDict& outputs,
           std::span<const std::uint64_t> indices) override {
    const at::Tensor log_probabilities = outputs.at("logits").to(at::kDouble).log_softmax(1).cpu();
    const at::Tensor labels = labels_of_(batch).cpu();
    const auto [highest_of, guess_of] = log_probabilities.max(1);
    const at::Tensor loss_of = -log_probabilities.gather(1, labels.unsqueeze(1)).squeeze(1);
    const auto label = labels.accessor<std::int64_t, 1>();
    const auto guess = guess_of.accessor<std::int64_t, 1>();
    const auto highest = highest_of.accessor<double, 1>();
    const auto loss = loss_of.accessor<double, 1>();
    const DeviceField* const image = raw.find("image");
    are_images_ = image != nullptr;
    for (std::int64_t i = 0; i < labels.size(0); ++i) {
      ++confusion_[{label[i], guess[i]}];
      if (label[i] == guess[i] || !worst_.takes(loss[i])) continue;
      worst_.add(loss[i], mistake(indices[static_cast<std::size_t>(i)], label[i], guess[i], std::exp(highest[i]),
                                  std::exp(-loss[i]), image == nullptr ? Image() : sample_image(*image, i)));
    }
  }

  Findings findings(Model& /*model*/) override {
    Findings result{.classes = Json::array(), .confusion = Json::array()};
    struct Counts {
      std::int64_t samples = 0;
      std::int64_t guesses = 0;
      std::int64_t right = 0;
    };
    std::vector<Counts> counts(class_names_.size());
    for (const auto& [pair, count] : confusion_) {
      const auto [label, guess] = pair;
      counts[static_cast<std::size_t>(label)].samples += count;
      counts[static_cast<std::size_t>(guess)].guesses += count;
      if (label == guess) counts[static_cast<std::size_t>(label)].right += count;
      result.confusion.push_back({{"label", label}, {"guess", guess}, {"samples", count}});
    }
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const auto& [samples, guesses, right] = counts[i];
      result.classes.push_back({{"name", class_names_[i]},
                                {"samples", samples},
                                {"guesses", guesses},
                                {"right", right},
                                {"recall", share(right, samples)},
                                {"precision", share(right, guesses)},
                                {"f1", share(2 * right, samples + guesses)}});
    }
    if (are_images_) result.unit = "images";
    result.ranked_by = "recall";
    result.worst_title = "most wrong";
    result.worst = worst_.take();
    return result;
  }

 private:
  ShownSample mistake(std::uint64_t index, std::int64_t label, std::int64_t guess, double guess_probability,
                      double label_probability, Image image) const {
    const auto name = [&](std::int64_t c) { return printable(class_names_[static_cast<std::size_t>(c)]); };
    return {.index = index,
            .caption = fmt::format("is {}, taken for {} ({:.1f} %)", name(label), name(guess), 100 * guess_probability),
            .figures = {{"label", label},
                        {"guess", guess},
                        {"guess_probability", guess_probability},
                        {"label_probability", label_probability}},
            .image = std::move(image)};
  }

  std::vector<std::string> class_names_;
  std::function<at::Tensor(const TensorDict&)> labels_of_;
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> confusion_;  // (label, guess) to samples
  Worst<ShownSample> worst_;
  bool are_images_ = false;
};

}  // namespace

std::unique_ptr<Evaluation> classification_evaluation(const std::vector<std::string>& class_names,
                                                      std::function<at::Tensor(const TensorDict&)> labels_of,
                                                      std::size_t worst) {
  return std::make_unique<ClassificationEvaluation>(class_names, std::move(labels_of), worst);
}

std::vector<Prediction> classification_predictions(const at::Tensor& probabilities,
                                                   const std::vector<std::string>& class_names, int top) {
  std::vector<Prediction> result;
  for (std::int64_t row = 0; row < probabilities.size(0); ++row) {
    const auto [values, indices] = probabilities[row].topk(std::min<std::int64_t>(top, probabilities.size(1)));
    Prediction prediction{.text = "", .json = {{"predictions", Json::array()}}};
    for (std::int64_t i = 0; i < values.size(0); ++i) {
      const auto index = indices[i].item<std::int64_t>();
      const std::string& name = class_names[static_cast<std::size_t>(index)];
      const auto probability = values[i].item<double>();
      prediction.text += fmt::format("  {:6.2f} %  {}\n", 100 * probability, printable(name));
      prediction.json["predictions"].push_back({{"class", name}, {"index", index}, {"probability", probability}});
    }
    result.push_back(std::move(prediction));
  }
  return result;
}

}  // namespace trainyard
