/// Passes the residual stream of a transformer from block to block.
#pragma once

#include "layers/layer_norm.h"
#include "layers/recompute.h"

namespace trainyard {

/// The stream between two blocks; the next norm does the pending add.
struct Residual {
  at::Tensor x;
  PendingAdd pending;
};

/// Returns block.forward(residual, factors, further...), recomputed in the backward pass if recompute() is on. factors:
/// from drop_path_factors(), drawn before the block, so that recomputing in a CUDA graph need not draw them again.
template <typename Block, typename... Further>
Residual forward_block(Block& block, const Residual& residual, const at::Tensor& factors, Further... further) {
  const auto forward = [&block, further...](const std::vector<at::Tensor>& inputs) {
    const Residual result = block.forward({inputs[0], {inputs[1], inputs[2]}}, inputs[3], further...);
    return std::vector<at::Tensor>{result.x, result.pending.product, result.pending.bias};
  };
  const auto outputs =
      recompute(block, {residual.x, residual.pending.product, residual.pending.bias, factors}, forward);
  return {outputs[0], {outputs[1], outputs[2]}};
}

}  // namespace trainyard
