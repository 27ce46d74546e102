/// Suggests a learning rate from the losses of a short run with an increasing learning rate (Smith 2017, "Cyclical
/// Learning Rates for Training Neural Networks"; smoothing and suggestions as in fastai's lr_find).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace trainyard {

/// Used from one thread.
class LrFinder {
 public:
  struct Point {
    double learning_rate;
    double loss;  ///< smoothed: an exponential moving average with decay 0.98, bias-corrected
  };

  struct Suggestion {
    double steepest;  ///< learning rate at which the loss falls fastest over the logarithm of the learning rate
    double minimum;   ///< learning rate at which the loss is lowest
  };

  /// Adds the loss of a batch. REQUIRES that learning rates do not decrease from call to call.
  void add(double learning_rate, double loss);

  /// Whether a loss was not finite, or the smoothed loss exceeded four times its minimum. Later losses are ignored.
  bool diverged() const { return diverged_; }

  /// One point per learning rate.
  const std::vector<Point>& curve() const { return curve_; }

  /// Ignores the first tenth of the curve, which averages few losses, and the last five points, at which the loss may
  /// have diverged. Empty if fewer than two points remain, or if the loss never falls.
  std::optional<Suggestion> suggestion() const;

 private:
  std::vector<Point> curve_;
  double average_ = 0;
  std::int64_t losses_ = 0;
  double lowest_ = 0;
  bool diverged_ = false;
};

}  // namespace trainyard
