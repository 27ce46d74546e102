/// Mixup and cutmix: each image of a batch becomes a mixture of two, and its target the same mixture of their classes.
#pragma once

#include "config/config.h"
#include "training/class_batch.h"

namespace trainyard {

/// Mixes every image with its mirror place in the batch (the last with the first, as timm does), on the batch's device,
/// and sets other_labels and share. Nothing happens where train.mixup and train.cutmix are 0.
///
/// mixup:  share × image + (1 - share) × other                   (Zhang et al. 2018)
/// cutmix: a rectangle of 1 - share of the image is the other's  (Yun et al. 2019)
/// with share ~ Beta(alpha, alpha); with both, either by a fair coin. What is drawn depends on (train.seed, epoch, the
/// batch's number) alone. Does not wait for the device.
void mix(ClassBatch& batch, const TrainConfig& config, std::int64_t epoch);

}  // namespace trainyard
