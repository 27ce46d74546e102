/// Fashion-MNIST, for the datasets that are made of it.
#pragma once

#include <memory>

#include "datasets/idx_images.h"

namespace trainyard {

/// Train or test of Fashion-MNIST. Throws as IdxImages() does.
std::unique_ptr<IdxImages> fashion_mnist(const DataConfig& config, Split split);

}  // namespace trainyard
