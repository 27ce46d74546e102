/// Batch normalization over the batches of several processes, as torch.nn.SyncBatchNorm does it.
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

/// x, of this process: N × channels × height × width, normalized by mean and variance over the samples of all
/// processes; updates the running statistics. Statistics are at least float32; the result has the type of x. It has no
/// second derivative. All processes call it, in forward and in backward, with this function or with
/// fused_batch_norm(): both send 2 · channels + 1 float64 values in forward, the sums of x and of x² and the number of
/// values, and 2 · channels in backward, the sums of the gradient and of its product with x - mean.
at::Tensor synchronized_batch_norm(torch::nn::BatchNorm2dImpl& layer, const at::Tensor& x, const AllReduce& all_reduce);

/// An AllReduce that an autograd function keeps in its saved_data for the backward pass.
struct SavedAllReduce : torch::CustomClassHolder {
  explicit SavedAllReduce(AllReduce function) : all_reduce(std::move(function)) {}
  AllReduce all_reduce;
};
c10::IValue saved(const AllReduce& all_reduce);
const AllReduce& all_reduce_of(const c10::IValue& saved);

}  // namespace trainyard
