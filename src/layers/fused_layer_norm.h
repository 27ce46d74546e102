/// Where a LayerNorm takes kernels of our own.
#pragma once

#include <vector>

#include "layers/layer_norm.h"

namespace trainyard {

/// Adds the branch, if there is one, to `x`, and normalises the sum in the same pass, which keeps the sum float32 and
/// writes what is normalised in autocast's type, or in float32 without autocast. Gives the same bits in every run on
/// one kind of GPU. Does not wait for the device. Returns the sum and the normalised sum; without a branch the sum is
/// `x` in its own memory. Returns nothing, and has done nothing, for what these kernels do not do: see applies() in
/// fused_layer_norm_cuda.cpp; without a CUDA compiler that is everything.
std::vector<at::Tensor> fused_layer_norm(const torch::nn::LayerNormImpl& layer, const at::Tensor& x,
                                         const Branch& branch);

}  // namespace trainyard
