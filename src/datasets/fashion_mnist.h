/// Fashion-MNIST, for the datasets that are made of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "datasets/idx_images.h"

namespace trainyard {

/// Train or test of Fashion-MNIST. Throws as IdxImages() does.
std::unique_ptr<IdxImages> fashion_mnist(const DataConfig& config, Split split);

/// The pictures that the samples of a dataset are made of. No picture is in two splits: train has the first 55,000
/// training pictures, val the last 5,000, test the test pictures. Of 10,000 training pictures or fewer, each has half.
struct GarmentPictures {
  std::unique_ptr<IdxImages> all;
  std::size_t first;  ///< of this split
  std::size_t count;

  /// Reads one of them into memory of `picture`: field 0 is the image, field 1 the label.
  void draw(RandomStream& random, Sample& picture) const;
};

/// Those of `split`. Throws as IdxImages() does.
GarmentPictures garment_pictures(const DataConfig& config, Split split);

/// Number of samples of `split` if train has `of_train`: val and test have a fifth as many, at least one.
std::size_t made_up_samples(std::int64_t of_train, Split split);

}  // namespace trainyard
