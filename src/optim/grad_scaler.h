/// Gradient scaling for fp16, as torch.amp.GradScaler: the loss is multiplied so that small gradients do not vanish;
/// where they overflow, the step is passed over and the factor halved.
#pragma once

#include <vector>

#include "util/named_tensors.h"
#include "util/torch.h"

namespace trainyard {

/// All numbers stay on the device: nothing here waits for it. Used from one thread.
class GradScaler {
 public:
  /// Disabled, it scales by nothing and has no state.
  GradScaler(bool enabled, at::Device device);

  bool enabled() const { return enabled_; }

  /// loss × scale.
  at::Tensor scale(const at::Tensor& loss) const;

  /// Divides the gradients by the scale, in place, and sets `found_inf` (one float) to 1 where one is not finite.
  void unscale(std::vector<at::Tensor>& gradients, at::Tensor& found_inf) const;

  /// After the step: halves the scale where found_inf is 1, doubles it after 2000 steps without.
  void update(const at::Tensor& found_inf);

  /// "scale" and "growth_tracker"; shares memory, so that a resume copies into them. Empty when disabled.
  NamedTensors state() const;

 private:
  bool enabled_;
  at::Tensor scale_;           // float
  at::Tensor growth_tracker_;  // int: steps since it last changed
};

}  // namespace trainyard
