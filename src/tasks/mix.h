/// Applies mixup or cutmix: each image of a batch becomes a mixture of two, and its target the same mixture of theirs.
#pragma once

#include "tasks/task.h"

namespace trainyard {

/// Mixes image i of N with image N - 1 - i, as timm does, on the batch's device:
///
/// mixup:  share × image + (1 - share) × other                   (Zhang et al. 2018)
/// cutmix: a rectangle of 1 - share of the image is the other's  (Yun et al. 2019)
///
/// with share ~ Beta(alpha, alpha). If both alphas are above 0, draws one of the two with equal probability; if both
/// are 0, does nothing. Changes "image" and sets "share", a float32 scalar, and "other_<target>", the
/// target of the other image, with the dtype of the field `target` (int64 or float32). Random numbers depend on `key`
/// only. Does not wait for the device.
void mix(TensorDict& batch, const std::string& target, double mixup_alpha, double cutmix_alpha, const BatchKey& key);

}  // namespace trainyard
