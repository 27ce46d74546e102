#include "layers/cuda/layer_norm_common.cuh"

namespace trainyard {
namespace layer_norm {
namespace {

template <typename T, int vectors_per_lane>
__global__ void __launch_bounds__(block_threads)
    add_normalize_kernel(LayerNormForward params, std::int64_t rows, unsigned C) {
  const std::int64_t row = std::int64_t{blockIdx.x} * warps_per_block + warp_id();
  if (row >= rows) return;
  const std::int64_t start = row * C;
  float x[vectors_per_lane][4] = {};
  for_each_vector4<vectors_per_lane>(C, [&](int k, unsigned c) {
    const Vector4<float> loaded = load_vector4<float>(params.x, start + c);
#pragma unroll
    for (int i = 0; i < 4; ++i) x[k][i] = loaded.get(i);
  });
  if (params.branch != nullptr) {
    for_each_vector4<vectors_per_lane>(C, [&](int k, unsigned c) {
      const Vector4<T> branch = load_vector4<T>(params.branch, start + c);
      Vector4<float> bias{};
      if (params.branch_bias != nullptr) bias = load_vector4<float>(params.branch_bias, c);
      Vector4<float> sum;
#pragma unroll
      for (int i = 0; i < 4; ++i) sum.set(i, x[k][i] += branch.get(i) + bias.get(i));
      store_vector4(params.sum, start + c, sum);
    });
  }

  float sum = 0;
#pragma unroll
  for (int k = 0; k < vectors_per_lane; ++k) {
#pragma unroll
    for (int i = 0; i < 4; ++i) sum += x[k][i];  // zero past the end of the row
  }
  const float mean = warp_reduce_sum(sum) / static_cast<float>(C);
  float squares = 0;
  for_each_vector4<vectors_per_lane>(C, [&](int k, unsigned) {
#pragma unroll
    for (int i = 0; i < 4; ++i) squares = fmaf(x[k][i] - mean, x[k][i] - mean, squares);
  });
  const float rstd = rsqrtf(warp_reduce_sum(squares) / static_cast<float>(C) + params.eps);
  if (lane_id() == 0) {
    params.mean[row] = mean;
    params.rstd[row] = rstd;
  }
  for_each_vector4<vectors_per_lane>(C, [&](int k, unsigned c) {
    const Vector4<float> weight = load_vector4<float>(params.weight, c);
    const Vector4<float> bias = load_vector4<float>(params.bias, c);
    Vector4<T> y;
#pragma unroll
    for (int i = 0; i < 4; ++i) y.set(i, fmaf((x[k][i] - mean) * rstd, weight.get(i), bias.get(i)));
    store_vector4(params.y, start + c, y);
  });
}

}  // namespace
}  // namespace layer_norm

cudaError_t launch_layer_norm(const Tokens& tokens, const LayerNormForward& params, cudaStream_t stream) {
  using namespace layer_norm;
  dispatch_element(tokens.element, [&](auto zero) {
    dispatch_vectors_per_lane(tokens.C, [&](auto vectors_per_lane) {
      add_normalize_kernel<decltype(zero), decltype(vectors_per_lane)::value>
          <<<ceil_divide(tokens.rows, warps_per_block), dim3(warp_size, warps_per_block), 0, stream>>>(
              params, tokens.rows, tokens.C);
    });
  });
  return cudaGetLastError();
}

}  // namespace trainyard
