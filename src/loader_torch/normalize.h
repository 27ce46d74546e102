/// Converts the images that a loader delivers to the input of a model.
#pragma once

#include <vector>

#include "util/torch.h"

namespace trainyard {

/// Selects images, and which of them to mirror.
struct Selection {
  at::Tensor indices;   ///< int64, M: row i of the result is image indices[i]; undefined: all of them, in order
  at::Tensor mirrored;  ///< bool, one per row of the result: whether it is flipped horizontally; undefined: none
};

/// Returns the selected rows of `data` (M × ..., or M × height × width × ... if some are mirrored).
at::Tensor selected(const at::Tensor& data, const Selection& selection);

/// Per-channel normalization with its constants on the device.
class Normalize {
 public:
  /// mean, std: one value per channel, in units of 0..1, as for torchvision.transforms.Normalize.
  Normalize(const std::vector<float>& mean, const std::vector<float>& std, at::Device device);

  /// images: N × height × width × channels on the device, contiguous, uint8 (0..255) or float32 (taken as 0..1).
  /// Returns M × channels × height × width in channels-last memory format: ToTensor, then Normalize, in float32;
  /// rounded to autocast's type if this thread's autocast is on for the device, because the model's first product would
  /// convert it. Does not synchronize with the device. REQUIRES 0 <= indices < N.
  at::Tensor operator()(const at::Tensor& images, const Selection& selection = {}) const;

 private:
  at::Tensor scale_;       // 1 / std, one per channel
  at::Tensor byte_scale_;  // 1 / std / 255
  at::Tensor shift_;       // -mean / std
};

/// What Normalize computes: image × scale + shift in float32, rounded to `type`: float32, float16 or bfloat16.
struct Normalization {
  at::Tensor scale;  ///< float32, one per channel
  at::Tensor shift;  ///< float32, one per channel
  at::ScalarType type = at::kFloat;
};

/// Implements Normalize for M × height × width × channels. On a GPU a single pass reads each image once and writes the
/// result (cuda/normalize.cpp); on the CPU, and in a build without CUDA, this calls normalize_by_operators().
at::Tensor normalize_images(const at::Tensor& images, const Normalization& normalization, const Selection& selection);
at::Tensor normalize_by_operators(const at::Tensor& images, const Normalization& normalization,
                                  const Selection& selection);

}  // namespace trainyard
