/// A batch of images and classes, ready for the model.
#pragma once

#include "loader/split.h"
#include "loader_torch/device_batch.h"
#include "util/error.h"

namespace trainyard {

struct ClassBatch {
  at::Tensor images;    ///< float32, N × channels × height × width, normalised, channels last
  at::Tensor labels;    ///< int64, N
  std::int64_t number;  ///< its place in the epoch
  std::int64_t count;   ///< N
  // Where the images are mixtures of two (training/mix.h):
  at::Tensor other_labels{};  ///< int64, N, of what was mixed in; undefined: nothing was
  at::Tensor share{};  ///< of each image that is labels', the rest is other_labels'; a scalar of the images' dtype
};

/// The shape of the images of a split. Throws UsageError if its samples are no images with a label.
inline const std::vector<std::int64_t>& image_shape(const SplitInfo& split) {
  const Field* const image = find_field(split.fields, "image");
  if (image != nullptr && image->shape.size() == 3 && find_field(split.fields, "label") != nullptr) return image->shape;
  throw UsageError("data.name", "training needs the fields image and label, the samples are {}",
                   describe(split.fields));
}

/// The fields image and label. Throws RunError if the batch lacks one.
inline ClassBatch class_batch(const DeviceBatch& batch, const Normalize& normalize) {
  const DeviceField& image = batch.field("image");
  return {.images = normalize(image.data, image.selection),
          .labels = batch.field("label").tensor(),
          .number = batch.number,
          .count = batch.count};
}

}  // namespace trainyard
