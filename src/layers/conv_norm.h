/// A convolution and the batch norm that follows it, with the statistics computed by the convolution's kernel.
#pragma once

#include <torch/nn/modules/conv.h>

#include "layers/batch_norm.h"

namespace trainyard {

// The results, gradients and errors of the layers called one after the other. In training on a GPU, with float16
// activations in channels-last memory format, with or without autocast, cuDNN's kernels sum up the convolution's output
// while they write it, which saves the pass that reads it again. The first call with each shape measures whether that
// is faster, like cuDNN's algorithms: only if LibTorch's benchmark mode is on and its deterministic mode is off,
// because the kernels add up the sums in an order that varies. Everything else, a synchronized batch norm included,
// calls the layers.
//
// The variance is the difference of two float32 sums: if a channel's mean is a hundred times its standard deviation,
// three digits of the variance are correct.

/// norm(conv(x))
at::Tensor conv_norm(torch::nn::Conv2d& conv, BatchNorm& norm, const at::Tensor& x);

/// norm->relu(conv(x))
at::Tensor conv_norm_relu(torch::nn::Conv2d& conv, BatchNorm& norm, const at::Tensor& x);

/// norm->add_relu(conv(x), residual)
Branches conv_norm_add_relu(torch::nn::Conv2d& conv, BatchNorm& norm, const at::Tensor& x, const at::Tensor& residual);

/// norm->relu_pool(conv(x))
Branches conv_norm_relu_pool(torch::nn::Conv2d& conv, BatchNorm& norm, const at::Tensor& x);

}  // namespace trainyard
