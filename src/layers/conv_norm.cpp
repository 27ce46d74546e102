#include "layers/conv_norm.h"

#include "layers/fused.h"

namespace trainyard {
namespace {

// The sums are undefined unless the norm can use them.
SummedConvolution convolve(torch::nn::Conv2d& conv, const BatchNorm& norm, const at::Tensor& x) {
  if (norm->is_training() && !norm->is_synchronized()) {
    if (const std::optional<SummedConvolution> fused = fused_convolution(*conv, x)) return *fused;
  }
  return {.y = conv(x), .sums = {}};
}

std::optional<Branches> normalize(const BatchNorm& norm, const SummedConvolution& convolved,
                                  const std::optional<at::Tensor>& residual, bool relu) {
  if (!convolved.sums.defined()) return std::nullopt;
  return fused_batch_norm(*norm, convolved.y, residual, relu, /*all_reduce=*/nullptr, convolved.sums);
}

}  // namespace

at::Tensor conv_norm(torch::nn::Conv2d& conv, BatchNorm& norm, const at::Tensor& x) {
  const SummedConvolution convolved = convolve(conv, norm, x);
  const std::optional<Branches> fused = normalize(norm, convolved, std::nullopt, /*relu=*/false);
  return fused ? fused->main : norm(convolved.y);
}

at::Tensor conv_norm_relu(torch::nn::Conv2d& conv, BatchNorm& norm, const at::Tensor& x) {
  const SummedConvolution convolved = convolve(conv, norm, x);
  const std::optional<Branches> fused = normalize(norm, convolved, std::nullopt, /*relu=*/true);
  return fused ? fused->main : norm->relu(convolved.y);
}

Branches conv_norm_add_relu(torch::nn::Conv2d& conv, BatchNorm& norm, const at::Tensor& x, const at::Tensor& residual) {
  const SummedConvolution convolved = convolve(conv, norm, x);
  const std::optional<Branches> fused = normalize(norm, convolved, residual, /*relu=*/true);
  return fused ? *fused : norm->add_relu(convolved.y, residual);
}

Branches conv_norm_relu_pool(torch::nn::Conv2d& conv, BatchNorm& norm, const at::Tensor& x) {
  const SummedConvolution convolved = convolve(conv, norm, x);
  std::optional<Branches> fused;
  if (convolved.sums.defined()) {
    fused = fused_batch_norm_pool(*norm, convolved.y, /*all_reduce=*/nullptr, convolved.sums);
  }
  return fused ? *fused : norm->relu_pool(convolved.y);
}

}  // namespace trainyard
