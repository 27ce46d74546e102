/// Suggests a learning rate from the losses of a short run with an increasing learning rate (Smith 2017, "Cyclical
/// Learning Rates for Training Neural Networks").
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

  /// Where the loss falls, judged by the losses themselves in a window of neighbouring steps, about a sixth of all.
  struct Suggestion {
    double steepest;  ///< learning rate at which a line through the window falls fastest over its logarithm
    double minimum;   ///< learning rate at which the mean of the window is lowest
    double fall;      ///< of the mean of the window, from the first one to the lowest
    double noise;     ///< standard error of such a difference, from how much the losses of successive steps differ

    /// Whether the loss falls by more than its noise. The lowest of many windows of mere noise is up to four standard
    /// errors below the first.
    bool is_clear() const { return fall > 5 * noise; }
  };

  /// Adds the loss of a batch. REQUIRES that learning rates do not decrease from call to call.
  void add(double learning_rate, double loss);

  /// Whether a loss was not finite, or the smoothed loss exceeded four times its minimum. Later losses are ignored.
  bool diverged() const { return diverged_; }

  /// One point per learning rate.
  const std::vector<Point>& curve() const { return curve_; }

  /// Empty if there are too few points for two windows.
  std::optional<Suggestion> suggestion() const;

 private:
  std::vector<Point> curve_;
  std::vector<double> means_;  // for each point, of the losses of its batches
  std::int64_t batches_ = 0;   // of the last point
  double average_ = 0;
  std::int64_t losses_ = 0;
  double lowest_ = 0;
  bool diverged_ = false;
};

}  // namespace trainyard
