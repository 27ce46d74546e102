#include "layers/cuda/layer_norm_common.cuh"

namespace trainyard {
namespace layer_norm {
namespace {

template <typename T, int fours>
__global__ void __launch_bounds__(block_threads)
    add_and_normalise_kernel(LayerNormForward task, std::int64_t rows, unsigned width) {
  const std::int64_t row = std::int64_t{blockIdx.x} * block_rows + threadIdx.y;
  if (row >= rows) return;
  const std::int64_t start = row * width;
  float x[fours][4] = {};
  for_each_four<fours>(width, [&](int k, unsigned column) {
    const Four<float> loaded = load_four<float>(task.x, start + column);
#pragma unroll
    for (int i = 0; i < 4; ++i) x[k][i] = loaded.get(i);
  });
  if (task.branch != nullptr) {
    for_each_four<fours>(width, [&](int k, unsigned column) {
      const Four<T> branch = load_four<T>(task.branch, start + column);
      Four<float> bias{};
      if (task.branch_bias != nullptr) bias = load_four<float>(task.branch_bias, column);
      Four<float> sum;
#pragma unroll
      for (int i = 0; i < 4; ++i) sum.set(i, x[k][i] += branch.get(i) + bias.get(i));
      store_four(task.sum, start + column, sum);
    });
  }

  float sum = 0;
#pragma unroll
  for (int k = 0; k < fours; ++k) {
#pragma unroll
    for (int i = 0; i < 4; ++i) sum += x[k][i];  // zeros where there is nothing of the row
  }
  const float mean = sum_over_warp(sum) / static_cast<float>(width);
  float squares = 0;
  for_each_four<fours>(width, [&](int k, unsigned) {
#pragma unroll
    for (int i = 0; i < 4; ++i) squares = fmaf(x[k][i] - mean, x[k][i] - mean, squares);
  });
  const float inverse_deviation = rsqrtf(sum_over_warp(squares) / static_cast<float>(width) + task.eps);
  if (threadIdx.x == 0) {
    task.mean[row] = mean;
    task.inverse_deviation[row] = inverse_deviation;
  }
  for_each_four<fours>(width, [&](int k, unsigned column) {
    const Four<float> weight = load_four<float>(task.weight, column);
    const Four<float> bias = load_four<float>(task.bias, column);
    Four<T> y;
#pragma unroll
    for (int i = 0; i < 4; ++i) y.set(i, fmaf((x[k][i] - mean) * inverse_deviation, weight.get(i), bias.get(i)));
    store_four(task.y, start + column, y);
  });
}

}  // namespace
}  // namespace layer_norm

cudaError_t launch_layer_norm(const Tokens& tokens, const LayerNormForward& task, cudaStream_t stream) {
  using namespace layer_norm;
  with_type_of(tokens.element, [&](auto zero) {
    with_fours(tokens.width, [&](auto fours) {
      add_and_normalise_kernel<decltype(zero), decltype(fours)::value>
          <<<ceil_divide(tokens.rows, block_rows), dim3(warp, block_rows), 0, stream>>>(task, tokens.rows,
                                                                                        tokens.width);
    });
  });
  return cudaGetLastError();
}

}  // namespace trainyard
