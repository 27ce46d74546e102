/// Scales gradients for fp16, like torch.amp.GradScaler: multiplies the loss so that small gradients do not underflow;
/// if gradients overflow, the step is skipped and the scale is halved.
#pragma once

#include <vector>

#include "util/named_tensors.h"
#include "util/torch.h"

namespace trainyard {

/// All values stay on the device: no function waits for it. Used from one thread.
class GradScaler {
 public:
  /// If not enabled, does not scale and has no state.
  GradScaler(bool enabled, at::Device device);

  bool enabled() const { return enabled_; }

  /// Returns loss × scale.
  at::Tensor scale(const at::Tensor& loss) const;

  /// Divides the gradients by the scale, in place, and sets `found_inf` (one float) to 1 if any is not finite.
  void unscale(std::vector<at::Tensor>& gradients, at::Tensor& found_inf) const;

  /// Call it after the step: halves the scale if found_inf is 1, doubles it after 2000 consecutive steps with 0.
  void update(const at::Tensor& found_inf);

  /// "scale" and "growth_tracker"; share this object's memory, so that a resume can copy into them. Empty if disabled.
  NamedTensors state() const;

 private:
  bool enabled_;
  at::Tensor scale_;           // float
  at::Tensor growth_tracker_;  // int: steps since it last changed
};

}  // namespace trainyard
