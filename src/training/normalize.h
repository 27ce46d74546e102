/// From the bytes a loader delivers to what a model takes.
#pragma once

#include <vector>

#include "util/torch.h"

namespace trainyard {

/// Per-channel normalisation, kept on the device where it is used.
class Normalize {
 public:
  /// mean, std: one value a channel, in units of 0..1, as torchvision.transforms.Normalize takes them.
  Normalize(const std::vector<float>& mean, const std::vector<float>& std, at::Device device);

  /// images: N × height × width × channels on the device, uint8 (0..255) or float32 (taken as 0..1).
  /// Returns float32 N × channels × height × width in channels-last memory format: ToTensor, then Normalize.
  at::Tensor operator()(const at::Tensor& images) const;

 private:
  at::Tensor scale_;  // 1 / std, one a channel
  at::Tensor shift_;  // -mean / std
};

}  // namespace trainyard
