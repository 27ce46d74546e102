/// Mixup and cutmix: each image of a batch becomes a mixture of two, and its target the same mixture of their classes.
#pragma once

#include "tasks/task.h"

namespace trainyard {

/// Mixes every image with its mirror place in the batch (the last with the first, as timm does), on the batch's device:
///
/// mixup:  share × image + (1 - share) × other                   (Zhang et al. 2018)
/// cutmix: a rectangle of 1 - share of the image is the other's  (Yun et al. 2019)
///
/// with share ~ Beta(alpha, alpha); with both alphas above 0, either by a fair coin; with none, nothing happens.
/// Changes "image" and sets "share", a scalar of the images' dtype, and "other_<target>" of what was mixed in: int64 or
/// float32 as the field `target`. What is drawn depends on `key` alone. Does not wait for the device.
void mix(TensorDict& batch, const std::string& target, double mixup_alpha, double cutmix_alpha, const BatchKey& key);

}  // namespace trainyard
