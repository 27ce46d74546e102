/// Creates the convolution that most models consist of.
#pragma once

#include <cstdint>

#include "models/layers.h"

namespace trainyard {

/// kernel × kernel, without bias, because batch normalization follows; padded so that stride 1 keeps the image's size.
inline torch::nn::Conv2d convolution(std::int64_t in, std::int64_t out, std::int64_t kernel = 3,
                                     std::int64_t stride = 1, std::int64_t dilation = 1) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, kernel)
                               .stride(stride)
                               .padding(kernel / 2 * dilation)
                               .dilation(dilation)
                               .bias(false));
}

}  // namespace trainyard
