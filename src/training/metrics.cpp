#include "training/metrics.h"

namespace trainyard {

ScoreSums::ScoreSums(at::Device device) : sums_(at::zeros({2}, at::TensorOptions(device).dtype(at::kDouble))) {}

void ScoreSums::add(const at::Tensor& loss, const at::Tensor& logits, const at::Tensor& labels) {
  const at::NoGradGuard no_grad;
  const at::Tensor right = logits.argmax(1).eq(labels).sum();
  sums_.add_(at::stack({loss.detach().to(at::kDouble) * labels.size(0), right.to(at::kDouble)}));
  samples_ += labels.size(0);
}

Scores ScoreSums::mean() const {
  if (samples_ == 0) return {};
  const at::Tensor sums = sums_.cpu();
  const auto n = static_cast<double>(samples_);
  return {.loss = sums[0].item<double>() / n, .accuracy = sums[1].item<double>() / n, .samples = samples_};
}

at::Tensor ScoreSums::snapshot() const {
  return at::cat({sums_.cpu(), at::tensor({static_cast<double>(samples_)}, at::kDouble)});
}

void ScoreSums::restore(const at::Tensor& snapshot) {
  sums_.copy_(snapshot.slice(0, 0, 2));
  samples_ = static_cast<std::int64_t>(snapshot[2].item<double>());
}

}  // namespace trainyard
