#include "training/classification_report.h"

#include <ATen/ops/cat.h>

#include "training/class_batch.h"
#include "training/precision.h"

namespace trainyard {
namespace {

// One row a sample, in the split's order.
struct Answers {
  std::vector<at::Tensor> labels;   // int64
  std::vector<at::Tensor> guesses;  // int64
  std::vector<at::Tensor> numbers;  // float64: loss, rank of the label, probability of the guess, of the label

  void add(const at::Tensor& logits, const at::Tensor& label) {
    const at::Tensor log_probabilities = logits.to(at::kDouble).log_softmax(1);
    const at::Tensor at_label = log_probabilities.gather(1, label.unsqueeze(1));
    const auto [highest, guess] = log_probabilities.max(1);
    const at::Tensor rank = log_probabilities.gt(at_label).sum(1).to(at::kDouble);
    labels.push_back(label);
    guesses.push_back(guess);
    numbers.push_back(at::stack({-at_label.squeeze(1), rank, highest.exp(), at_label.squeeze(1).exp()}, 1));
  }
};

std::optional<double> share(std::int64_t part, std::int64_t whole) {
  if (whole == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(whole);
}

ClassificationReport summed(const at::Tensor& labels, const at::Tensor& guesses, const at::Tensor& numbers,
                            std::size_t worst) {
  ClassificationReport result;
  result.samples = labels.size(0);
  const at::Tensor losses = numbers.select(1, 0);
  const at::Tensor right = guesses.eq(labels);
  result.loss = losses.mean().item<double>();
  result.top1 = right.to(at::kDouble).mean().item<double>();
  result.top5 = numbers.select(1, 1).lt(5).to(at::kDouble).mean().item<double>();

  const auto label = labels.accessor<std::int64_t, 1>();
  const auto guess = guesses.accessor<std::int64_t, 1>();
  const auto number = numbers.accessor<double, 2>();
  for (std::int64_t i = 0; i < result.samples; ++i) ++result.confusion[{label[i], guess[i]}];

  const at::Tensor order = losses.argsort(/*stable=*/true, 0, /*descending=*/true);
  for (std::int64_t place = 0; place < result.samples && result.worst.size() < worst; ++place) {
    const auto i = order[place].item<std::int64_t>();
    if (label[i] == guess[i]) continue;
    result.worst.push_back({.index = i,
                            .label = label[i],
                            .guess = guess[i],
                            .guess_probability = number[i][2],
                            .label_probability = number[i][3]});
  }
  return result;
}

}  // namespace

ClassificationReport classification_report(Model& model, DeviceLoader& batches, const Normalize& normalize,
                                           Precision precision, std::size_t worst) {
  const at::NoGradGuard no_grad;
  const bool was_training = model.is_training();
  model.eval();
  Answers answers;
  batches.start_epoch(0);
  while (const std::optional<DeviceBatch> delivered = batches.next()) {
    const ClassBatch batch = class_batch(*delivered, normalize);
    const Autocast autocast(precision, batches.device().type());
    answers.add(model.forward({{"image", batch.images}}).at("logits"), batch.labels);
  }
  model.train(was_training);
  ClassificationReport result;
  if (!answers.labels.empty()) {
    result =
        summed(at::cat(answers.labels).cpu(), at::cat(answers.guesses).cpu(), at::cat(answers.numbers).cpu(), worst);
  }
  result.classes = static_cast<std::int64_t>(batches.split().class_names.size());
  return result;
}

std::vector<ClassScores> class_scores(const ClassificationReport& evaluation) {
  std::vector<ClassScores> scores(static_cast<std::size_t>(evaluation.classes));
  for (const auto& [pair, count] : evaluation.confusion) {
    scores.at(static_cast<std::size_t>(pair.first)).samples += count;
    scores.at(static_cast<std::size_t>(pair.second)).guesses += count;
    if (pair.first == pair.second) scores.at(static_cast<std::size_t>(pair.first)).right += count;
  }
  for (ClassScores& one : scores) {
    one.recall = share(one.right, one.samples);
    one.precision = share(one.right, one.guesses);
    one.f1 = share(2 * one.right, one.samples + one.guesses);
  }
  return scores;
}

}  // namespace trainyard
