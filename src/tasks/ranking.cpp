#include "tasks/ranking.h"

#include <cmath>
#include <limits>

#include "tasks/metric.h"

namespace trainyard {
namespace {

/// The number of samples with one score, and of samples with a greater score.
struct Tie {
  double positives = 0;
  double others = 0;
  double positives_before = 0;
  double others_before = 0;
};

// For each class, the sum of `part(tie)` over its distinct scores in descending order, divided by
// `whole(positives, others)` of all samples; NaN if the divisor is 0.
template <typename Part, typename Whole>
std::vector<double> over_ties(const at::Tensor& scores, const at::Tensor& positives, Part part, Whole whole) {
  std::vector<double> result;
  const auto samples = static_cast<std::size_t>(scores.size(0));
  for (std::int64_t c = 0; c < scores.size(1); ++c) {
    const auto [sorted, order] = scores.select(1, c).sort(/*dim=*/0, /*descending=*/true);
    const at::Tensor is_positive = positives.select(1, c).index_select(0, order).gt(0);
    const std::span<const float> score(sorted.const_data_ptr<float>(), samples);
    const std::span<const bool> positive(is_positive.const_data_ptr<bool>(), samples);
    Tie tie;
    double sum = 0;
    for (std::size_t i = 0; i < samples; ++i) {
      ++(positive[i] ? tie.positives : tie.others);
      if (i + 1 < samples && score[i + 1] == score[i]) continue;
      sum += part(tie);
      tie = {.positives_before = tie.positives_before + tie.positives, .others_before = tie.others_before + tie.others};
    }
    const double divisor = whole(tie.positives_before, tie.others_before);
    result.push_back(divisor == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / divisor);
  }
  return result;
}

}  // namespace

std::vector<double> average_precisions(const at::Tensor& scores, const at::Tensor& positives) {
  return over_ties(
      scores, positives,
      [](const Tie& tie) {
        const double found = tie.positives_before + tie.positives;
        return tie.positives * found / (found + tie.others_before + tie.others);
      },
      [](double positive, double /*others*/) { return positive; });
}

std::vector<double> roc_aucs(const at::Tensor& scores, const at::Tensor& positives) {
  return over_ties(
      scores, positives, [](const Tie& tie) { return tie.others * (tie.positives_before + tie.positives / 2); },
      [](double positive, double others) { return positive * others; });
}

std::optional<double> macro_average(std::span<const double> of_classes) {
  double sum = 0;
  double known = 0;
  for (const double value : of_classes) {
    if (std::isnan(value)) continue;
    sum += value;
    ++known;
  }
  return quotient(sum, known);
}

}  // namespace trainyard
