#include "training/lr_finder.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace trainyard {
namespace {

constexpr double decay = 0.98;
constexpr double max_growth = 4;
constexpr std::size_t last_points = 5;

}  // namespace

void LrFinder::add(double learning_rate, double loss) {
  if (diverged_) return;
  if (!std::isfinite(loss)) {
    diverged_ = true;
    return;
  }
  ++losses_;
  average_ = decay * average_ + (1 - decay) * loss;
  const Point point{learning_rate, average_ / (1 - std::pow(decay, losses_))};
  if (!curve_.empty() && curve_.back().learning_rate == learning_rate) {
    curve_.back() = point;
  } else {
    curve_.push_back(point);
  }
  lowest_ = losses_ == 1 ? point.loss : std::min(lowest_, point.loss);
  diverged_ = point.loss > max_growth * lowest_;
}

std::optional<LrFinder::Suggestion> LrFinder::suggestion() const {
  const std::size_t first = curve_.size() / 10;
  if (curve_.size() < first + last_points + 2) return std::nullopt;
  const std::span judged = std::span(curve_).subspan(first, curve_.size() - first - last_points);
  double steepest_slope = 0;
  Suggestion result{.steepest = 0, .minimum = judged[0].learning_rate};
  double lowest = judged[0].loss;
  for (std::size_t i = 0; i + 1 < judged.size(); ++i) {
    const Point& next = judged[i + 1];
    const double slope =
        (next.loss - judged[i].loss) / (std::log(next.learning_rate) - std::log(judged[i].learning_rate));
    if (slope < steepest_slope) {
      steepest_slope = slope;
      result.steepest = judged[i].learning_rate;
    }
    if (next.loss < lowest) {
      lowest = next.loss;
      result.minimum = next.learning_rate;
    }
  }
  return steepest_slope < 0 ? std::optional(result) : std::nullopt;
}

}  // namespace trainyard
