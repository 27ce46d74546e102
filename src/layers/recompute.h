/// Activation checkpointing (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"): what a part of a model
/// computes on the way is not kept for the backward pass but computed there again, from the part's input.
#pragma once

#include <functional>
#include <vector>

#include "util/torch.h"

namespace torch::nn {
class Module;
}

namespace trainyard {

/// Tensors in, tensors out. Called again in the backward pass, maybe from another thread.
using StageFunction = std::function<std::vector<at::Tensor>(const std::vector<at::Tensor>&)>;

/// `function`(inputs), which uses the parameters and buffers of `module` and no other tensors that require a gradient.
/// If this thread has a Recompute that is on, the results between are recomputed: with the same random numbers and in
/// the same autocast, so that results and gradients are bit-identical on the CPU; the buffers, e.g. the statistics of
/// batch norm, are updated once. The first input is defined, others and outputs need not be; outputs may be inputs or
/// parameters.
std::vector<at::Tensor> recompute(torch::nn::Module& module, const std::vector<at::Tensor>& inputs,
                                  const StageFunction& function);

/// While one that is on lives, the calls of recompute() in this thread recompute. One at a time.
class Recompute {
 public:
  explicit Recompute(bool on);
  ~Recompute();
  Recompute(const Recompute&) = delete;
  Recompute& operator=(const Recompute&) = delete;

  /// Calls of recompute() so far.
  int stages() const { return stages_; }
  /// Whether one of them drew random numbers of a GPU. A CUDA graph would not draw the same ones again.
  bool draws_on_gpu() const { return draws_on_gpu_; }

 private:
  friend std::vector<at::Tensor> recompute(torch::nn::Module&, const std::vector<at::Tensor>&, const StageFunction&);

  bool on_;
  int stages_ = 0;
  bool draws_on_gpu_ = false;
};

}  // namespace trainyard
