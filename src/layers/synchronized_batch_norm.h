/// Batch normalization over the batches of several processes.
#pragma once

#include <functional>

#include "util/torch.h"

namespace torch::nn {
class BatchNorm2dImpl;
}

namespace trainyard {

/// Sums a tensor over all processes, in place and in the order of the current stream.
using AllReduce = std::function<void(const at::Tensor&)>;

/// x, of this process: N × channels × height × width, normalized by mean and variance over the samples of all
/// processes, as torch.nn.SyncBatchNorm does in training; updates the running statistics. Statistics are at least
/// float32; the result has the type of x. All processes call it, in forward and in backward; `layer` and `all_reduce`
/// must outlive the backward pass.
at::Tensor synchronized_batch_norm(torch::nn::BatchNorm2dImpl& layer, const at::Tensor& x, const AllReduce& all_reduce);

}  // namespace trainyard
