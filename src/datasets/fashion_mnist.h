/// Reads Fashion-MNIST for the datasets that are derived from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "datasets/idx_images.h"

namespace trainyard {

/// Returns train or test of Fashion-MNIST. Throws as IdxImages() does.
std::unique_ptr<IdxImages> fashion_mnist(const DataConfig& config, Split split);

/// The pictures from which samples are composed. No picture is in two splits: train has the first 55,000 training
/// pictures, val the last 5,000, and test the test pictures. If there are 10,000 training pictures or fewer, train and
/// val get half of them each.
struct GarmentPictures {
  std::unique_ptr<IdxImages> all;
  std::size_t first;  ///< index of this split's first picture
  std::size_t count;

  /// Reads a random one into memory owned by `picture`: field 0 is the image, field 1 the label.
  void draw(RandomStream& random, Sample& picture) const;
};

/// Returns the pictures of `split`. Throws as IdxImages() does.
GarmentPictures garment_pictures(const DataConfig& config, Split split);

/// Returns the number of samples of `split` if train has `of_train`: val and test have a fifth of it, at least one.
std::size_t synthetic_samples(std::int64_t of_train, Split split);

}  // namespace trainyard
