/// Activation checkpointing (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"): does not store the
/// intermediate activations of a part of a model, but recomputes them from the part's inputs in the backward pass.
#pragma once

#include <functional>
#include <vector>

#include "util/torch.h"

namespace torch::nn {
class Module;
}

namespace trainyard {

/// Called again in the backward pass, possibly from another thread.
using StageFunction = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

/// Returns function(inputs). REQUIRES that `function` uses no tensors that require a gradient except its inputs and the
/// parameters of `module`. If a Recompute that is on lives in this thread, the intermediate activations are recomputed
/// with the same random numbers and in the same autocast mode, so that results and gradients are bit-identical on the
/// CPU; buffers, e.g. the statistics of batch norm, are updated only once. The first input must be defined; other
/// inputs and outputs may be undefined. Outputs may be inputs or parameters.
std::vector<at::Tensor> recompute(torch::nn::Module& module, const std::vector<at::Tensor>& inputs,
                                  const StageFunction& function);

/// If `on`, calls of recompute() in this thread recompute during this object's lifetime. At most one at a time.
class Recompute {
 public:
  explicit Recompute(bool on);
  ~Recompute();
  Recompute(const Recompute&) = delete;
  Recompute& operator=(const Recompute&) = delete;

  /// The number of calls of recompute() so far.
  int stages() const { return stages_; }
  /// Whether one of the calls drew random numbers on a GPU. In a CUDA graph, recomputing would draw different ones.
  bool draws_on_gpu() const { return draws_on_gpu_; }

 private:
  friend std::vector<at::Tensor> recompute(torch::nn::Module&, const std::vector<at::Tensor>&, const StageFunction&);

  bool on_;
  int stages_ = 0;
  bool draws_on_gpu_ = false;
};

}  // namespace trainyard
