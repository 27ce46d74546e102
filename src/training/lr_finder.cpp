#include "training/lr_finder.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace trainyard {
namespace {

constexpr double decay = 0.98;
constexpr double max_growth = 4;

/// The line through the losses of a window, over the logarithm of the learning rate.
struct Line {
  double mean = 0;
  double slope = 0;
};

Line line_through(std::span<const LrFinder::Point> points, std::span<const double> losses) {
  const auto count = static_cast<double>(points.size());
  double mean_x = 0;
  Line line;
  for (std::size_t i = 0; i < points.size(); ++i) {
    mean_x += std::log(points[i].learning_rate) / count;
    line.mean += losses[i] / count;
  }
  double products = 0;
  double squares = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double x = std::log(points[i].learning_rate) - mean_x;
    products += x * (losses[i] - line.mean);
    squares += x * x;
  }
  line.slope = products / squares;
  return line;
}

// The standard deviation of the losses around their course, from the median of the differences of neighbours, on which
// the few losses of a divergence have no influence.
double deviation_of(std::span<const double> losses) {
  std::vector<double> differences;
  for (std::size_t i = 0; i + 1 < losses.size(); ++i) differences.push_back(std::abs(losses[i + 1] - losses[i]));
  const auto middle = differences.begin() + std::ssize(differences) / 2;
  std::nth_element(differences.begin(), middle, differences.end());
  return *middle / (0.6745 * std::sqrt(2));
}

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
    means_.back() += (loss - means_.back()) / static_cast<double>(++batches_);
  } else {
    curve_.push_back(point);
    means_.push_back(loss);
    batches_ = 1;
  }
  lowest_ = losses_ == 1 ? point.loss : std::min(lowest_, point.loss);
  diverged_ = point.loss > max_growth * lowest_;
}

std::optional<LrFinder::Suggestion> LrFinder::suggestion() const {
  const std::size_t half = std::max<std::size_t>(curve_.size() / 12, 2);
  const std::size_t width = 2 * half + 1;
  if (curve_.size() < 2 * width) return std::nullopt;
  const std::span points(curve_);
  const std::span losses(means_);
  Suggestion result{};
  double first = 0;
  double lowest = 0;
  double steepest_slope = 0;
  for (std::size_t begin = 0; begin + width <= points.size(); ++begin) {
    const Line line = line_through(points.subspan(begin, width), losses.subspan(begin, width));
    const double centre = points[begin + half].learning_rate;
    if (begin == 0) first = line.mean;
    if (begin == 0 || line.mean < lowest) {
      lowest = line.mean;
      result.minimum = centre;
    }
    if (begin == 0 || line.slope < steepest_slope) {
      steepest_slope = line.slope;
      result.steepest = centre;
    }
  }
  result.fall = first - lowest;
  result.noise = deviation_of(losses) * std::sqrt(2 / static_cast<double>(width));
  return result;
}

}  // namespace trainyard
