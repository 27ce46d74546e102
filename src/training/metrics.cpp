#include "training/metrics.h"

#include <array>
#include <cmath>

#include <ATen/ops/full_like.h>

namespace trainyard {
namespace {

constexpr std::array names = {"loss", "accuracy", "samples"};  // in the order of sums_of()

}  // namespace

bool is_better(const Scores& later, const Scores& earlier) {
  if (later.accuracy != earlier.accuracy) return later.accuracy > earlier.accuracy;
  return later.loss <= earlier.loss || std::isnan(earlier.loss);
}

at::Tensor sums_of(const at::Tensor& loss, const at::Tensor& logits, const at::Tensor& labels) {
  const at::NoGradGuard no_grad;
  const at::Tensor mean = loss.detach().to(at::kDouble);
  const at::Tensor right = logits.argmax(1).eq(labels).sum().to(at::kDouble);
  const at::Tensor sums = at::stack({mean * labels.size(0), right, at::full_like(mean, labels.size(0))});
  return sums.masked_fill(mean.isfinite().logical_not(), 0);
}

ScoreSums::ScoreSums(at::Device device) : sums_(at::zeros({3}, at::TensorOptions(device).dtype(at::kDouble))) {}

void ScoreSums::add(const at::Tensor& sums) { sums_.add_(sums); }

Scores ScoreSums::mean() const {
  const at::Tensor sums = sums_.cpu();
  const auto samples = sums[2].item<double>();
  if (samples == 0) return {};
  return {.loss = sums[0].item<double>() / samples,
          .accuracy = sums[1].item<double>() / samples,
          .samples = static_cast<std::int64_t>(samples)};
}

std::map<std::string, double> ScoreSums::by_name() const {
  const at::Tensor sums = sums_.cpu();
  std::map<std::string, double> named;
  for (std::size_t i = 0; i < names.size(); ++i) named[names[i]] = sums[static_cast<std::int64_t>(i)].item<double>();
  return named;
}

void ScoreSums::restore(const std::map<std::string, double>& sums) {
  for (std::size_t i = 0; i < names.size(); ++i) sums_[static_cast<std::int64_t>(i)].fill_(sums.at(names[i]));
}

}  // namespace trainyard
