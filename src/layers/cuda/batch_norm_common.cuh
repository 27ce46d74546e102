/// Memory bandwidth rules here. Each direction is one pass that sums and one that applies, with a small kernel between
/// them: forward reads x twice and writes y; backward reads dy and x twice and writes dx. Which numbers the ReLU let by
/// is computed again from x; where a residual was added, bits say it, and the summing pass writes the residual's
/// gradient, which the applying one then reads.
///
/// Sums run from the last row to the first, so that what a pass leaves in the L2 cache is what the next one begins
/// with. The order of every sum depends on the shape and the GPU alone.
///
/// batch_norm_forward.cu and batch_norm_backward.cu are the two directions; here is what they share.
#pragma once

#include <type_traits>

#include "layers/cuda/batch_norm_kernel.h"
#include "layers/cuda/reduce_rows.cuh"

namespace trainyard::batch_norm {

/// Blocks resident on a multiprocessor: more leave too few registers.
constexpr unsigned forward_blocks = 4;
constexpr unsigned backward_blocks = 3;

/// Of the kernels between the passes: channels and threads for each of them.
constexpr unsigned finish_columns = 32;
constexpr unsigned finish_rows = 32;

enum class Then { nothing, relu, add_relu };

/// Calls run(std::integral_constant<Then, ...>()).
template <typename Run>
void with_what_follows(bool relu, bool adds, const Run& run) {
  if (adds) return run(std::integral_constant<Then, Then::add_relu>());
  if (relu) return run(std::integral_constant<Then, Then::relu>());
  return run(std::integral_constant<Then, Then::nothing>());
}

/// What normalised() asks for. Task is BatchNormForward or BatchNormBackward.
template <typename T>
struct Scaling {
  PerChannel<lanes<T>> mean, scale;

  template <typename Task>
  __device__ Scaling(const Task& task, unsigned channel) : mean(task.mean + channel), scale(task.weight + channel) {
    for (int i = 0; i < lanes<T>; ++i) scale.at[i] *= task.inverse_deviation[channel + i];
  }
};

/// Forward and backward call it with the same numbers and get the same bits, so that they agree on the ReLU's mask.
__device__ inline float normalised(float x, float mean, float scale, float bias) { return fmaf(x - mean, scale, bias); }

/// As T holds it.
template <typename T>
__device__ float rounded(float value) {
  return static_cast<float>(static_cast<T>(value));
}

/// Whether the gradient of a ReLU's result goes on; of NaN it does.
__device__ inline unsigned passes(float y) { return y <= 0 ? 0 : 1; }

}  // namespace trainyard::batch_norm
