/// Reads Fashion-MNIST for the datasets that are derived from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "datasets/idx_images.h"

namespace trainyard {

/// Returns train or test of Fashion-MNIST. Throws as IdxImages() does.
std::unique_ptr<IdxImages> fashion_mnist(const DataConfig& config, Split split);

/// The images from which samples are composed. No image is in two splits: train has the first 55,000 training
/// images, val the last 5,000, and test the test images. If there are 10,000 training images or fewer, train and
/// val get half of them each.
struct GarmentImages {
  std::unique_ptr<IdxImages> all;
  std::size_t first;  ///< index of this split's first image
  std::size_t count;

  /// Reads a random one into memory owned by `sample`: field 0 is the image, field 1 the label.
  void draw(RandomStream& random, Sample& sample) const;
};

/// Returns the images of `split`. Throws as IdxImages() does.
GarmentImages garment_images(const DataConfig& config, Split split);

/// Returns the number of samples of `split` if train has `of_train`: val and test have a fifth of it, at least one.
std::size_t synthetic_samples(std::int64_t of_train, Split split);

}  // namespace trainyard
