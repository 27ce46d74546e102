#include "layers/cuda/layer_norm_common.cuh"
#include "layers/cuda/reduce_blocks.h"

namespace trainyard {
namespace layer_norm {
namespace {

// Resident on a multiprocessor: more leave too few registers.
constexpr unsigned resident_blocks(int fours) { return fours <= 2 ? 3 : fours <= 4 ? 2 : 1; }

unsigned blocks_of(const Tokens& tokens) {
  int device = 0;
  int multiprocessors = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device);
  unsigned resident = 0;
  with_fours(tokens.width, [&](auto fours) { resident = multiprocessors * resident_blocks(fours); });
  return std::min(resident, ceil_divide(tokens.rows, block_rows));
}

// What a lane adds up over its rows, for each of its numbers of a row.
template <int fours>
using Sums = float[fours][4];

// Adds up over the block's warps and writes `width` numbers. All threads of the block call it.
template <int fours>
__device__ void sum_over_block(const Sums<fours>& sums, float* to, unsigned width) {
  __shared__ float shared[block_rows][fours * warp * 4];
  __syncthreads();  // the call before has read it
  for_each_four<fours>(width, [&](int k, unsigned column) {
    Four<float> four;
#pragma unroll
    for (int i = 0; i < 4; ++i) four.set(i, sums[k][i]);
    store_four(shared[threadIdx.y], column, four);
  });
  __syncthreads();
  for (unsigned column = threadIdx.y * warp + threadIdx.x; column < width; column += block_threads) {
    float sum = 0;
#pragma unroll
    for (unsigned row = 0; row < block_rows; ++row) sum += shared[row][column];
    to[column] = sum;
  }
}

// How many times `width` dparameters are.
__host__ __device__ unsigned sets_of(const LayerNormBackward& task) { return task.sums_branch ? 3 : 2; }

// The rows' gradients, and the blocks' sums for dparameters.
template <typename T, int fours>
__global__ void __launch_bounds__(block_threads, resident_blocks(fours))
    gradients_kernel(LayerNormBackward task, std::int64_t rows, unsigned width) {
  Sums<fours> dweight = {};
  Sums<fours> dbias = {};
  Sums<fours> dbranch_bias = {};
  for (std::int64_t row = std::int64_t{blockIdx.x} * block_rows + threadIdx.y; row < rows;
       row += std::int64_t{gridDim.x} * block_rows) {
    const std::int64_t start = row * width;
    Four<float> sum[fours], dsum[fours];
    Four<T> dy[fours];
    for_each_four<fours>(width, [&](int k, unsigned column) {
      sum[k] = load_four<float>(task.sum, start + column);
      dy[k] = load_four<T>(task.dy, start + column);
      dsum[k] = task.dsum == nullptr ? Four<float>{} : load_four<float>(task.dsum, start + column);
    });
    const float mean = task.mean[row];
    const float inverse_deviation = task.inverse_deviation[row];
    const auto normalised = [&](int k, int i) { return (sum[k].get(i) - mean) * inverse_deviation; };

    float total = 0;  // of the normalised row's gradient
    float along = 0;  // of its product with the normalised row
    for_each_four<fours>(width, [&](int k, unsigned column) {
      const Four<float> weight = load_four<float>(task.weight, column);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        dweight[k][i] = fmaf(dy[k].get(i), normalised(k, i), dweight[k][i]);
        dbias[k][i] += dy[k].get(i);
        const float gradient = dy[k].get(i) * weight.get(i);
        total += gradient;
        along = fmaf(gradient, normalised(k, i), along);
      }
    });
    total = sum_over_warp(total) / static_cast<float>(width);
    along = sum_over_warp(along) / static_cast<float>(width);

    for_each_four<fours>(width, [&](int k, unsigned column) {
      const Four<float> weight = load_four<float>(task.weight, column);
      Four<float> dx;
      Four<T> dbranch;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float rest = fmaf(dy[k].get(i), weight.get(i), -fmaf(along, normalised(k, i), total));
        const float gradient = fmaf(inverse_deviation, rest, dsum[k].get(i));
        dx.set(i, gradient);
        dbranch.set(i, gradient);
        dbranch_bias[k][i] += gradient;
      }
      if (task.dx != nullptr) store_four(task.dx, start + column, dx);
      if (task.dbranch != nullptr) store_four(task.dbranch, start + column, dbranch);
    });
  }
  const unsigned sets = sets_of(task);
  float* const partials = task.workspace + std::int64_t{blockIdx.x} * sets * width;
  sum_over_block<fours>(dweight, partials, width);
  sum_over_block<fours>(dbias, partials + width, width);
  if (task.sums_branch) sum_over_block<fours>(dbranch_bias, partials + 2 * width, width);
}

}  // namespace
}  // namespace layer_norm

std::int64_t layer_norm_workspace(const Tokens& tokens) {
  return std::int64_t{3} * layer_norm::blocks_of(tokens) * tokens.width;
}

cudaError_t launch_layer_norm(const Tokens& tokens, const LayerNormBackward& task, cudaStream_t stream) {
  using namespace layer_norm;
  const unsigned blocks = blocks_of(tokens);
  with_type_of(tokens.element, [&](auto zero) {
    with_fours(tokens.width, [&](auto fours) {
      gradients_kernel<decltype(zero), decltype(fours)::value>
          <<<blocks, dim3(warp, block_rows), 0, stream>>>(task, tokens.rows, tokens.width);
    });
  });
  launch_add_blocks(task.workspace, blocks, sets_of(task) * tokens.width, task.dparameters, stream);
  return cudaGetLastError();
}

}  // namespace trainyard
