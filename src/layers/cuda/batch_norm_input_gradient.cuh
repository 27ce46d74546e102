/// What the elementwise pass of backward needs of the reduction pass: the sums of each channel's gradient.
#pragma once

#include "layers/cuda/batch_norm_common.cuh"

namespace trainyard::batch_norm {

template <typename T>
__device__ Scaling<T> scaling_of(const BatchNormBackward& params, unsigned channel) {
  return {params.mean + channel, params.rstd + channel, PerChannel<vector_size<T>>(params.weight + channel)};
}

/// Calls use(channel, sums) with the sums of all blocks; see add_up_partials().
template <unsigned threads, typename Use>
__device__ void combine_partials(const float* partials, const Tile& tile, unsigned C, unsigned blocks, const Use& use) {
  add_up_partials<threads>(
      partials, tile, C, blocks,
      [](float (&sums)[2], unsigned, const float2& partial) {
        sums[0] += partial.x;
        sums[1] += partial.y;
      },
      use);
}

__device__ inline void store_gradients(const BatchNormBackward& params, unsigned channel, const float (&sums)[2]) {
  params.dbias[channel] = sums[0];
  params.dweight[channel] = sums[1] * params.rstd[channel];
}

/// Computes into shared memory what is subtracted from the gradient of the tile's channels: its mean, and its
/// projection on x - mean. The first block of the tile also stores the gradients of weight and bias.
__device__ inline void compute_correction(const BatchNormBackward& params, const Tile& tile, unsigned C,
                                          unsigned blocks, float* mean_gradients, float* slopes) {
  const unsigned own = min(tile.begin + thread_of_block(), tile.end - 1);
  const float rstd = params.rstd[own];  // read early, as the sums take a while
  const float weight = params.weight[own];
  const auto correct = [&](unsigned channel, float sum_dy, float sum_dy_x, float count) {
    mean_gradients[channel - tile.begin] = sum_dy / count;
    slopes[channel - tile.begin] = sum_dy_x / count * rstd * rstd * rstd * weight;
  };
  if (params.sums == nullptr) {
    combine_partials<block_threads>(params.workspace, tile, C, blocks, [&](unsigned channel, const float (&sums)[2]) {
      if (blockIdx.x == 0) store_gradients(params, channel, sums);
      correct(channel, sums[0], sums[1], static_cast<float>(params.batch));
    });
  } else if (tile.begin + thread_of_block() < tile.end) {
    correct(own, static_cast<float>(params.sums[own]), static_cast<float>(params.sums[C + own]),
            static_cast<float>(*params.rows));
  }
}

/// The gradient of x of a thread's vector of channels.
template <typename T>
struct InputGradient {
  Scaling<T> scaling;
  PerChannel<vector_size<T>> mean_gradient, slope;

  /// dy: the gradient of the normalized x.
  __device__ float of(float dy, float x, int i) const {
    return fmaf(scaling.scale.at[i], dy - mean_gradient.at[i], (scaling.mean.at[i] - x) * slope.at[i]);
  }
};

/// All threads of a block of the elementwise pass call it, once; `partials` is that of partial_sums().
template <typename T>
__device__ InputGradient<T> input_gradient_of_block(const BatchNormBackward& params, unsigned C, unsigned partials) {
  __shared__ float mean_gradients[tile_size<T>], slopes[tile_size<T>];
  const bool in_range = first_channel<T>() < C;
  const Scaling<T> scaling = scaling_of<T>(params, in_range ? first_channel<T>() : 0);
  const unsigned vector = in_range ? threadIdx.x * vector_size<T> : 0;
  compute_correction(params, tile_of<T>(C), C, partials, mean_gradients, slopes);
  __syncthreads();
  return {scaling, PerChannel<vector_size<T>>(mean_gradients + vector), PerChannel<vector_size<T>>(slopes + vector)};
}

/// The number of partial sums per channel that launch_batch_norm_sums() leaves in the workspace.
unsigned partial_sums(const Activations& shape, const BatchNormBackward& params);

}  // namespace trainyard::batch_norm
