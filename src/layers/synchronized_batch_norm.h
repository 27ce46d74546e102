/// Batch normalization over the batches of several processes, like torch.nn.SyncBatchNorm.
#pragma once

#include <functional>

#include <ATen/core/ivalue.h>

#include "util/torch.h"

namespace torch::nn {
class BatchNorm2dImpl;
}

namespace trainyard {

/// Sums a tensor over all processes, in place and in the order of the current stream.
using AllReduce = std::function<void(const at::Tensor&)>;

/// Normalizes x, the samples of this process, N × channels × height × width, by mean and variance over the samples of
/// all processes, and updates the running statistics. Statistics are at least float32; the result has the type of x.
/// The gradient has no second derivative. All processes call this function or fused_batch_norm(), forward and backward:
/// both exchange 2 · channels + 1 float64 values in forward, the sums of x and of x² and the number of values, and 2 ·
/// channels in backward, the sums of the gradient and of its product with x - mean.
at::Tensor synchronized_batch_norm(torch::nn::BatchNorm2dImpl& layer, const at::Tensor& x, const AllReduce& all_reduce);

/// An AllReduce that an autograd function keeps in its saved_data for the backward pass.
struct SavedAllReduce : torch::CustomClassHolder {
  explicit SavedAllReduce(AllReduce function) : all_reduce(std::move(function)) {}
  AllReduce all_reduce;
};
c10::IValue saved(const AllReduce& all_reduce);
const AllReduce& all_reduce_of(const c10::IValue& saved);

}  // namespace trainyard
