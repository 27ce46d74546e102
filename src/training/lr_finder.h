/// Which learning rate to train with, from the losses of a short run whose learning rate grows (Smith 2017, "Cyclical
/// Learning Rates for Training Neural Networks"; smoothing and suggestions as in fastai's lr_find).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace trainyard {

/// Takes the losses as they come. Used from one thread.
class LrFinder {
 public:
  struct Point {
    double learning_rate;
    double loss;  ///< smoothed: an exponential moving average with the decay 0.98, without its bias to 0
  };

  struct Suggestion {
    double steepest;  ///< where the loss falls fastest over the logarithm of the learning rate
    double minimum;   ///< where the loss is lowest
  };

  /// The loss of a batch; learning rates do not fall.
  void add(double learning_rate, double loss);

  /// Whether a loss was not finite, or the smoothed one over four times its lowest. Later losses are ignored.
  bool diverged() const { return diverged_; }

  /// A point for each learning rate.
  const std::vector<Point>& curve() const { return curve_; }

  /// From the curve without its first tenth, where the average is of few losses, and without its last five points,
  /// where the loss may have diverged. None if fewer than two points remain, or if the loss never falls.
  std::optional<Suggestion> suggestion() const;

 private:
  std::vector<Point> curve_;
  double average_ = 0;
  std::int64_t losses_ = 0;
  double lowest_ = 0;
  bool diverged_ = false;
};

}  // namespace trainyard
