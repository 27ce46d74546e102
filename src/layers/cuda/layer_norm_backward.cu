#include "layers/cuda/layer_norm_common.cuh"
#include "layers/cuda/reduce_blocks.h"

namespace trainyard {
namespace layer_norm {
namespace {

// Resident blocks per multiprocessor: more would leave too few registers.
constexpr unsigned resident_blocks(int vectors_per_lane) {
  return vectors_per_lane <= 2 ? 3 : vectors_per_lane <= 4 ? 2 : 1;
}

unsigned blocks_of(const Tokens& tokens) {
  int device = 0;
  int multiprocessors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  unsigned resident = 0;
  dispatch_vectors_per_lane(
      tokens.C, [&](auto vectors_per_lane) { resident = multiprocessors * resident_blocks(vectors_per_lane); });
  return std::min(resident, ceil_divide(tokens.rows, warps_per_block));
}

// A lane's sums over its rows, per element.
template <int vectors_per_lane>
using Sums = float[vectors_per_lane][4];

// Sums over the block's warps and writes C floats. All threads of the block call it.
template <int vectors_per_lane>
__device__ void block_reduce_sum(const Sums<vectors_per_lane>& sums, float* to, unsigned C) {
  __shared__ float shared[warps_per_block][vectors_per_lane * warp_size * 4];
  __syncthreads();  // the previous call has finished reading
  for_each_vector4<vectors_per_lane>(C, [&](int k, unsigned c) {
    Vector4<float> vector;
#pragma unroll
    for (int i = 0; i < 4; ++i) vector.set(i, sums[k][i]);
    store_vector4(shared[warp_id()], c, vector);
  });
  __syncthreads();
  for (unsigned c = warp_id() * warp_size + lane_id(); c < C; c += block_threads) {
    float sum = 0;
#pragma unroll
    for (unsigned row = 0; row < warps_per_block; ++row) sum += shared[row][c];
    to[c] = sum;
  }
}

// The number of gradients, of C floats each, in dparameters.
__host__ __device__ unsigned gradient_count(const LayerNormBackward& params) { return params.sums_branch ? 3 : 2; }

// Computes the rows' gradients, and each block's partial sums of dparameters.
template <typename T, int vectors_per_lane>
__global__ void __launch_bounds__(block_threads, resident_blocks(vectors_per_lane))
    gradients_kernel(LayerNormBackward params, std::int64_t rows, unsigned C) {
  Sums<vectors_per_lane> dweight = {};
  Sums<vectors_per_lane> dbias = {};
  Sums<vectors_per_lane> dbranch_bias = {};
  for (std::int64_t row = std::int64_t{blockIdx.x} * warps_per_block + warp_id(); row < rows;
       row += std::int64_t{gridDim.x} * warps_per_block) {
    const std::int64_t start = row * C;
    Vector4<float> sum[vectors_per_lane], dsum[vectors_per_lane];
    Vector4<T> dy[vectors_per_lane];
    for_each_vector4<vectors_per_lane>(C, [&](int k, unsigned c) {
      sum[k] = load_vector4<float>(params.sum, start + c);
      dy[k] = load_vector4<T>(params.dy, start + c);
      dsum[k] = params.dsum == nullptr ? Vector4<float>{} : load_vector4<float>(params.dsum, start + c);
    });
    const float mean = params.mean[row];
    const float rstd = params.rstd[row];
    const auto normalized = [&](int k, int i) { return (sum[k].get(i) - mean) * rstd; };

    float mean_gradient = 0;    // of the normalized row
    float mean_projection = 0;  // of the gradient on the normalized row
    for_each_vector4<vectors_per_lane>(C, [&](int k, unsigned c) {
      const Vector4<float> weight = load_vector4<float>(params.weight, c);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        dweight[k][i] = fmaf(dy[k].get(i), normalized(k, i), dweight[k][i]);
        dbias[k][i] += dy[k].get(i);
        const float gradient = dy[k].get(i) * weight.get(i);
        mean_gradient += gradient;
        mean_projection = fmaf(gradient, normalized(k, i), mean_projection);
      }
    });
    mean_gradient = warp_reduce_sum(mean_gradient) / static_cast<float>(C);
    mean_projection = warp_reduce_sum(mean_projection) / static_cast<float>(C);

    for_each_vector4<vectors_per_lane>(C, [&](int k, unsigned c) {
      const Vector4<float> weight = load_vector4<float>(params.weight, c);
      Vector4<float> dx;
      Vector4<T> dbranch;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float rest = fmaf(dy[k].get(i), weight.get(i), -fmaf(mean_projection, normalized(k, i), mean_gradient));
        const float gradient = fmaf(rstd, rest, dsum[k].get(i));
        dx.set(i, gradient);
        dbranch.set(i, gradient);
        dbranch_bias[k][i] += gradient;
      }
      if (params.dx != nullptr) store_vector4(params.dx, start + c, dx);
      if (params.dbranch != nullptr) store_vector4(params.dbranch, start + c, dbranch);
    });
  }
  const unsigned gradients = gradient_count(params);
  float* const partials = params.workspace + std::int64_t{blockIdx.x} * gradients * C;
  block_reduce_sum<vectors_per_lane>(dweight, partials, C);
  block_reduce_sum<vectors_per_lane>(dbias, partials + C, C);
  if (params.sums_branch) block_reduce_sum<vectors_per_lane>(dbranch_bias, partials + 2 * C, C);
}

}  // namespace
}  // namespace layer_norm

std::int64_t layer_norm_workspace(const Tokens& tokens) {
  return std::int64_t{3} * layer_norm::blocks_of(tokens) * tokens.C;
}

cudaError_t launch_layer_norm(const Tokens& tokens, const LayerNormBackward& params, cudaStream_t stream) {
  using namespace layer_norm;
  const unsigned blocks = blocks_of(tokens);
  dispatch_element(tokens.element, [&](auto zero) {
    dispatch_vectors_per_lane(tokens.C, [&](auto vectors_per_lane) {
      gradients_kernel<decltype(zero), decltype(vectors_per_lane)::value>
          <<<blocks, dim3(warp_size, warps_per_block), 0, stream>>>(params, tokens.rows, tokens.C);
    });
  });
  launch_reduce_blocks(params.workspace, blocks, gradient_count(params) * tokens.C, params.dparameters, stream);
  return cudaGetLastError();
}

}  // namespace trainyard
