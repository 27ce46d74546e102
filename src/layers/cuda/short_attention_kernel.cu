// One block computes one head of one sample. Its queries, keys and values are in shared memory, padded with zeros to
// whole tiles, and each warp has 16 rows of the products, one tile: in the forward pass those of 16 queries. A row of
// attention weights is as short as the sequence, so that the warp holds it in registers, and the backward pass computes
// it again instead of reading it.

#include <cuda_pipeline.h>

#include "layers/cuda/reduce_blocks.h"
#include "layers/cuda/short_attention_kernel.h"
#include "layers/cuda/tensor_cores.cuh"

namespace trainyard {
namespace {

constexpr unsigned tile = 16;
constexpr unsigned padding = 8;  // elements, for SharedMatrix

template <typename T>
struct Operands {
  SharedMatrix<T> queries, keys, values;
};

template <typename T, unsigned tiles, unsigned width>
class Head {
 public:
  static constexpr unsigned rows = tile * tiles;
  static constexpr unsigned threads = 32 * tiles;
  using Weights = Sums[2 * tiles];        // a warp's 16 rows of tokens × tokens
  using Output = Sums[2 * width / tile];  // a warp's 16 rows of tokens × width

  static constexpr unsigned bytes_of_values = rows * (width + padding) * sizeof(T);
  static constexpr unsigned bytes_of_weights = rows * (rows + padding) * sizeof(T);

  __device__ Head(const ShortAttention& shape, unsigned char* memory)
      : shape_(shape), sample_(blockIdx.x / shape.heads), head_(blockIdx.x % shape.heads), memory_(memory) {}

  __device__ SharedMatrix<T> take_weights() { return take(rows); }

  // The first row of this warp.
  __device__ unsigned first_row() const { return threadIdx.x / 32 * tile; }
  // Where this head's element `column` of part 0, 1 or 2 of a sample's sum over its rows is.
  __device__ std::int64_t sum_at(unsigned part, unsigned column) const {
    return (std::int64_t{sample_} * 3 + part) * shape_.heads * width + head_ * width + column;
  }

  __device__ Operands<T> begin_reading_qkv(const void* qkv) {
    const Operands<T> operands{take_values(), take_values(), take_values()};
    begin_reading(operands.queries, qkv, 3, 0);
    begin_reading(operands.keys, qkv, 3, 1);
    begin_reading(operands.values, qkv, 3, 2);
    return operands;
  }
  __device__ SharedMatrix<T> begin_reading_y(const void* y) {
    const SharedMatrix<T> matrix = take_values();
    begin_reading(matrix, y, 1, 0);
    return matrix;
  }

  static __device__ void finish_reading() {
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
  }

  __device__ void write(const SharedMatrix<T>& from, void* qkv, unsigned part) const {
    write(from, qkv, 3, part, threadIdx.x, threads, 0);
  }
  // This warp's rows.
  __device__ void write_rows(const SharedMatrix<T>& from, void* y) const {
    write(from, y, 1, 0, tensor_cores::lane(), 32, first_row());
  }

  // weights = this warp's rows of softmax(queries · keysᵀ / sqrt(width))
  __device__ void find_weights(const SharedMatrix<T>& queries, const SharedMatrix<T>& keys, Weights& weights) const {
    multiply_by_transposed(queries, keys, weights);
    constexpr float log2_e = 1.4426950408889634F;
    const float factor = scale() * log2_e;
    const unsigned lane = tensor_cores::lane();
#pragma unroll
    for (unsigned half = 0; half < 2; ++half) {
      const unsigned row = first_row() + lane / 4 + 8 * half;
      const unsigned end = shape_.causal ? min(row + 1, shape_.tokens) : shape_.tokens;
      float largest = -INFINITY;
      for_each(weights, half, [&](float& weight, unsigned column) {
        if (column >= end) weight = -INFINITY;
        largest = fmaxf(largest, weight);
      });
      largest = quad_reduce(largest, [](float a, float b) { return fmaxf(a, b); });
      float sum = 0;
      for_each(weights, half, [&](float& weight, unsigned) {
        weight = exp2f((weight - largest) * factor);
        sum += weight;
      });
      const float share = 1 / quad_reduce(sum, [](float a, float b) { return a + b; });
      for_each(weights, half, [&](float& weight, unsigned) { weight *= share; });
    }
  }

  // dweights becomes the gradient of the scores, the products that find_weights() scales.
  __device__ void differentiate_weights(const Weights& weights, Weights& dweights) const {
#pragma unroll
    for (unsigned half = 0; half < 2; ++half) {
      float sum = 0;
      for_each(dweights, half, weights, [&](float& dweight, float weight) { sum += dweight * weight; });
      sum = quad_reduce(sum, [](float a, float b) { return a + b; });
      for_each(dweights, half, weights,
               [&](float& dweight, float weight) { dweight = weight * (dweight - sum) * scale(); });
    }
  }

  // result = this warp's rows of left · rightᵀ
  __device__ void multiply_by_transposed(const SharedMatrix<T>& left, const SharedMatrix<T>& right,
                                         Weights& result) const {
#pragma unroll
    for (Sums& sums : result) sums = {};
#pragma unroll
    for (unsigned k = 0; k < width; k += tile) {
      const Tile row = left_tile(left, first_row(), k);
#pragma unroll
      for (unsigned n = 0; n < tiles; ++n) {
        multiply<T>(row, right_tile_of_transposed(right, k, n * tile), result + 2 * n);
      }
    }
  }

  // result = weights · right, with weights rounded to T
  __device__ void multiply_weights(const Weights& weights, const SharedMatrix<T>& right, Output& result) const {
    multiply_rows([&](unsigned k) { return left_tile<T>(weights[2 * k], weights[2 * k + 1]); }, right, result);
  }

  // result = this warp's rows of weightsᵀ · right
  __device__ void multiply_transposed_weights(const SharedMatrix<T>& weights, const SharedMatrix<T>& right,
                                              Output& result) const {
    multiply_rows([&](unsigned k) { return left_tile_of_transposed(weights, first_row(), k * tile); }, right, result);
  }

  // Writes this warp's rows, rounded to T.
  template <unsigned count>
  __device__ void put(const Sums (&rows_of_warp)[count], const SharedMatrix<T>& to) const {
#pragma unroll
    for (unsigned n = 0; n < count; ++n) store(rows_of_warp[n], to, first_row(), n * 8);
  }

 private:
  static constexpr unsigned vector = 16 / sizeof(T);
  static constexpr unsigned vectors = width / vector;  // of a row

  __device__ SharedMatrix<T> take_values() { return take(width); }

  static __device__ float scale() { return width == 64 ? 0.125F : 0.17677669529663687F; }

  __device__ SharedMatrix<T> take(unsigned columns) {
    const SharedMatrix<T> matrix{reinterpret_cast<T*>(memory_), columns + padding};
    memory_ += rows * matrix.stride * sizeof(T);
    return matrix;
  }

  // The vector of a row of this head, where each token has `parts` parts.
  __device__ std::int64_t element(unsigned parts, unsigned part, unsigned row, unsigned column) const {
    return ((std::int64_t{sample_} * shape_.tokens + row) * parts + part) * shape_.heads * width + head_ * width +
           column;
  }

  __device__ void begin_reading(const SharedMatrix<T>& to, const void* from, unsigned parts, unsigned part) const {
#pragma unroll
    for (unsigned i = threadIdx.x; i < rows * vectors; i += threads) {
      const unsigned row = i / vectors;
      const unsigned column = i % vectors * vector;
      T* const place = to.row(row) + column;
      if (row < shape_.tokens) {
        __pipeline_memcpy_async(place, static_cast<const T*>(from) + element(parts, part, row, column), 16);
      } else {
        *reinterpret_cast<uint4*>(place) = {};
      }
    }
  }

  __device__ void write(const SharedMatrix<T>& from, void* to, unsigned parts, unsigned part, unsigned first,
                        unsigned step, unsigned first_row) const {
    const unsigned count = step == threads ? rows : tile;
#pragma unroll
    for (unsigned i = first; i < count * vectors; i += step) {
      const unsigned row = first_row + i / vectors;
      const unsigned column = i % vectors * vector;
      if (row >= shape_.tokens) return;
      *reinterpret_cast<uint4*>(static_cast<T*>(to) + element(parts, part, row, column)) =
          *reinterpret_cast<const uint4*>(from.row(row) + column);
    }
  }

  template <typename LeftTile>
  __device__ void multiply_rows(const LeftTile& left, const SharedMatrix<T>& right, Output& result) const {
#pragma unroll
    for (Sums& sums : result) sums = {};
#pragma unroll
    for (unsigned k = 0; k < tiles; ++k) {
      const Tile row = left(k);
#pragma unroll
      for (unsigned n = 0; n < width / tile; ++n) {
        multiply<T>(row, right_tile(right, k * tile, n * tile), result + 2 * n);
      }
    }
  }

  // Calls call(element, column) for this thread's elements of one of its two rows.
  template <typename Call>
  static __device__ void for_each(Weights& weights, unsigned half, const Call& call) {
#pragma unroll
    for (unsigned n = 0; n < 2 * tiles; ++n) {
#pragma unroll
      for (unsigned i = 0; i < 2; ++i) call(weights[n].at[2 * half + i], 8 * n + 2 * (tensor_cores::lane() % 4) + i);
    }
  }
  // Calls call(element, element of `others` at the same place).
  template <typename Call>
  static __device__ void for_each(Weights& weights, unsigned half, const Weights& others, const Call& call) {
#pragma unroll
    for (unsigned n = 0; n < 2 * tiles; ++n) {
#pragma unroll
      for (unsigned i = 0; i < 2; ++i) call(weights[n].at[2 * half + i], others[n].at[2 * half + i]);
    }
  }

  // Four adjacent threads share a row.
  template <typename Combine>
  static __device__ float quad_reduce(float value, const Combine& combine) {
    value = combine(value, __shfl_xor_sync(0xFFFFFFFF, value, 1));
    return combine(value, __shfl_xor_sync(0xFFFFFFFF, value, 2));
  }

  const ShortAttention& shape_;
  unsigned sample_, head_;
  unsigned char* memory_;
};

template <typename T, unsigned tiles, unsigned width>
__global__ void __launch_bounds__(32 * tiles)
    short_attention_kernel(ShortAttention shape, ShortAttentionForward params) {
  extern __shared__ uint4 memory[];
  using Head = Head<T, tiles, width>;
  Head head(shape, reinterpret_cast<unsigned char*>(memory));
  const auto [queries, keys, values] = head.begin_reading_qkv(params.qkv);
  head.finish_reading();

  typename Head::Weights weights;
  head.find_weights(queries, keys, weights);
  typename Head::Output y;
  head.multiply_weights(weights, values, y);
  __syncwarp();
  head.put(y, queries);  // only this warp reads these rows
  __syncwarp();
  head.write_rows(queries, params.y);
}

template <typename T, unsigned tiles, unsigned width>
__global__ void __launch_bounds__(32 * tiles)
    short_attention_gradient_kernel(ShortAttention shape, ShortAttentionBackward params) {
  extern __shared__ uint4 memory[];
  using Head = Head<T, tiles, width>;
  Head head(shape, reinterpret_cast<unsigned char*>(memory));
  const auto [queries, keys, values] = head.begin_reading_qkv(params.qkv);
  const SharedMatrix<T> dy = head.begin_reading_y(params.dy);
  head.finish_reading();
  const SharedMatrix<T> weights = head.take_weights();
  const SharedMatrix<T> dscores = head.take_weights();

  typename Head::Output gradient;
  {
    typename Head::Weights rows;
    typename Head::Weights drows;
    head.find_weights(queries, keys, rows);
    head.multiply_by_transposed(dy, values, drows);
    head.differentiate_weights(rows, drows);
    head.put(rows, weights);
    head.put(drows, dscores);
    head.multiply_weights(drows, keys, gradient);  // of the queries
  }
  __syncthreads();  // keys and values are no longer read
  const SharedMatrix<T> dqueries = keys;
  const SharedMatrix<T> dvalues = values;
  const SharedMatrix<T> dkeys = queries;
  head.put(gradient, dqueries);
  head.multiply_transposed_weights(weights, dy, gradient);
  head.put(gradient, dvalues);
  head.multiply_transposed_weights(dscores, queries, gradient);
  __syncthreads();  // nor are the queries
  head.put(gradient, dkeys);
  __syncthreads();

  head.write(dqueries, params.dqkv, 0);
  head.write(dkeys, params.dqkv, 1);
  head.write(dvalues, params.dqkv, 2);
  for (unsigned i = threadIdx.x; i < 3 * width; i += Head::threads) {
    const unsigned part = i / width;
    const SharedMatrix<T>& matrix = part == 0 ? dqueries : part == 1 ? dkeys : dvalues;
    float sum = 0;
    for (unsigned row = 0; row < shape.tokens; ++row) sum += static_cast<float>(matrix.row(row)[i % width]);
    params.workspace[head.sum_at(part, i % width)] = sum;
  }
}

// Calls run(T(), number of tiles, width) with the last two as types.
template <typename Run>
cudaError_t dispatch(const ShortAttention& shape, const Run& run) {
  const auto with_width = [&](auto zero, auto tiles) {
    return shape.width == 64 ? run(zero, tiles, std::integral_constant<unsigned, 64>())
                             : run(zero, tiles, std::integral_constant<unsigned, 32>());
  };
  const auto with_tiles = [&](auto zero) {
    switch ((shape.tokens + tile - 1) / tile) {
      case 1:
        return with_width(zero, std::integral_constant<unsigned, 1>());
      case 2:
        return with_width(zero, std::integral_constant<unsigned, 2>());
      case 3:
        return with_width(zero, std::integral_constant<unsigned, 3>());
      case 4:
        return with_width(zero, std::integral_constant<unsigned, 4>());
      default:
        return with_width(zero, std::integral_constant<unsigned, 5>());
    }
  };
  return shape.element == Element::float16 ? with_tiles(__half()) : with_tiles(__nv_bfloat16());
}

template <typename Kernel, typename Params>
cudaError_t launch(Kernel* kernel, unsigned threads, unsigned bytes, const ShortAttention& shape, const Params& params,
                   cudaStream_t stream) {
  if (const cudaError_t error =
          cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes))) {
    return error;
  }
  kernel<<<shape.samples * shape.heads, threads, bytes, stream>>>(shape, params);
  return cudaGetLastError();
}

}  // namespace

bool has_short_attention() {
  int device = 0;
  int major = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  return major >= 8;
}

cudaError_t launch_short_attention(const ShortAttention& shape, const ShortAttentionForward& params,
                                   cudaStream_t stream) {
  return dispatch(shape, [&](auto zero, auto tiles, auto width) {
    using OneHead = Head<decltype(zero), tiles(), width()>;
    return launch(short_attention_kernel<decltype(zero), tiles(), width()>, OneHead::threads,
                  3 * OneHead::bytes_of_values, shape, params, stream);
  });
}

cudaError_t launch_short_attention(const ShortAttention& shape, const ShortAttentionBackward& params,
                                   cudaStream_t stream) {
  const cudaError_t error = dispatch(shape, [&](auto zero, auto tiles, auto width) {
    using OneHead = Head<decltype(zero), tiles(), width()>;
    return launch(short_attention_gradient_kernel<decltype(zero), tiles(), width()>, OneHead::threads,
                  4 * OneHead::bytes_of_values + 2 * OneHead::bytes_of_weights, shape, params, stream);
  });
  if (error != cudaSuccess) return error;
  launch_reduce_blocks(params.workspace, shape.samples, 3 * shape.heads * shape.width, params.dbias, stream);
  return cudaGetLastError();
}

}  // namespace trainyard
