// A row is read by one warp or, if it is long, by one block. Threads load 16 bytes at a time; the elements before the
// first and after the last aligned vector of a row are loaded one by one.

#include <cfloat>
#include <type_traits>

#include <cuda_pipeline.h>

#include "layers/cuda/cross_entropy_kernel.h"
#include "layers/cuda/vectors.cuh"

namespace trainyard {
namespace {

constexpr unsigned warp_size = 32;
constexpr unsigned warp_max_C = 1024;  // longer rows are read by a block
constexpr int unroll = 4;              // loads in flight per thread

// Without the steps that __expf() takes for denormal results, which are zero here.
__device__ float fast_exp(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x * 1.4426950408889634F));
  return result;
}

// Calls use(c, x) for all elements of a row of C, several at a time: x is an array of float that begins at element c.
template <typename T, unsigned threads, typename Use>
__device__ void for_each_element(const T* row, unsigned C, const Use& use) {
  constexpr unsigned n = vector_size<T>;
  constexpr unsigned step = threads * n;
  const auto use_one = [&](unsigned c) {
    const float x[1] = {static_cast<float>(row[c])};
    use(c, x);
  };
  const unsigned misaligned = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(row) % 16) / sizeof(T);
  const unsigned begin = min(C, (n - misaligned) % n);
  const unsigned end = begin + (C - begin) / n * n;
  if (threadIdx.x < begin) use_one(threadIdx.x);
  for (unsigned c = begin + threadIdx.x * n; c < end; c += unroll * step) {
    Vector<T> loaded[unroll];
#pragma unroll
    for (int k = 0; k < unroll; ++k) {
      if (c + k * step < end) loaded[k] = load<T>(row, c + k * step);
    }
#pragma unroll
    for (int k = 0; k < unroll; ++k) {
      if (c + k * step >= end) break;
      float x[n];
#pragma unroll
      for (int i = 0; i < n; ++i) x[i] = loaded[k].get(i);
      use(c + k * step, x);
    }
  }
  if (end + threadIdx.x < C) use_one(end + threadIdx.x);
}

// Of some elements of a row. The maximum of none is the least finite number, so that differences are not NaN.
struct Sums {
  float max = -FLT_MAX;
  float exp = 0;  // sum of exp(x - max)
  float x = 0;    // sum of x

  template <int n>
  __device__ void add(const float (&values)[n]) {
    float largest = values[0];
#pragma unroll
    for (int i = 1; i < n; ++i) largest = fmaxf(largest, values[i]);
    if (largest > max) {
      exp *= fast_exp(max - largest);
      max = largest;
    }
#pragma unroll
    for (int i = 0; i < n; ++i) {
      exp += fast_exp(values[i] - max);
      x += values[i];
    }
  }

  __device__ void add(const Sums& other) {
    const float largest = fmaxf(max, other.max);
    exp = exp * fast_exp(max - largest) + other.exp * fast_exp(other.max - largest);
    x += other.x;
    max = largest;
  }
};

// Over the threads of a row; each of them gets the result.
template <unsigned threads>
__device__ Sums reduce(Sums sums) {
#pragma unroll
  for (unsigned distance = warp_size / 2; distance > 0; distance /= 2) {
    constexpr unsigned all = 0xffffffffU;
    Sums other;
    other.max = __shfl_xor_sync(all, sums.max, distance);
    other.exp = __shfl_xor_sync(all, sums.exp, distance);
    other.x = __shfl_xor_sync(all, sums.x, distance);
    sums.add(other);
  }
  if constexpr (threads > warp_size) {
    constexpr unsigned warps = threads / warp_size;
    __shared__ float max[warps], exp[warps], x[warps];
    if (threadIdx.x % warp_size == 0) {
      const unsigned warp = threadIdx.x / warp_size;
      max[warp] = sums.max;
      exp[warp] = sums.exp;
      x[warp] = sums.x;
    }
    __syncthreads();
    sums = Sums();
#pragma unroll
    for (unsigned warp = 0; warp < warps; ++warp) {
      Sums other;
      other.max = max[warp];
      other.exp = exp[warp];
      other.x = x[warp];
      sums.add(other);
    }
  }
  return sums;
}

template <typename T>
__device__ float loss_of(const Sums& sums, const T* logits, unsigned C, std::int64_t target, float smoothing) {
  const bool is_class = target >= 0 && target < C;
  const float of_target = is_class ? static_cast<float>(logits[target]) : NAN;
  const float loss = logf(sums.exp) + (sums.max - of_target);
  return smoothing > 0 ? loss + smoothing * (of_target - sums.x / static_cast<float>(C)) : loss;
}

// The gradient of a row is of_exp · exp(logits - max) - of_all, and less by of_target at the target.
struct RowGradient {
  std::int64_t target;
  bool ignored;  // the gradient is zero
  float max, of_exp, of_target, of_all;
};

template <typename T, unsigned threads>
__device__ void write_gradient(const RowGradient& row, const Logits& shape, const T* logits, T* dlogits) {
  for_each_element<T, threads>(logits, shape.C, [&](unsigned c, const auto& x) {
    constexpr unsigned n = sizeof(x) / sizeof(float);
    float dx[n];
#pragma unroll
    for (int i = 0; i < n; ++i) dx[i] = row.ignored ? 0 : fmaf(fast_exp(x[i] - row.max), row.of_exp, -row.of_all);
    if (!row.ignored && row.target - c >= 0 && row.target - c < n) {
#pragma unroll
      for (int i = 0; i < n; ++i) dx[i] -= row.target - c == i ? row.of_target : 0;
    }
    if constexpr (n == 1) {
      dlogits[c] = static_cast<T>(dx[0]);
    } else {
      Vector<T> vector;
#pragma unroll
      for (int i = 0; i < n; ++i) vector.set(i, dx[i]);
      store(dlogits, c, vector);
    }
  });
  for (unsigned c = shape.C + threadIdx.x; c < shape.padded; c += threads) dlogits[c] = static_cast<T>(0.0F);
}

// A block is threads × (block_threads / threads) rows.
__device__ std::int64_t row_of_thread() { return std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y; }

template <typename T, unsigned threads>
__global__ void __launch_bounds__(block_threads) cross_entropy_kernel(Logits shape, CrossEntropyForward params) {
  const std::int64_t row = row_of_thread();
  if (row >= shape.rows) return;
  const std::int64_t target = params.target[row];
  if (target == params.ignored) {
    if (threadIdx.x == 0) params.loss[row] = 0;
    return;
  }
  const T* const logits = static_cast<const T*>(params.logits) + row * shape.stride;
  Sums sums;
  for_each_element<T, threads>(logits, shape.C, [&](unsigned, const auto& x) { sums.add(x); });
  sums = reduce<threads>(sums);
  if (threadIdx.x != 0) return;
  params.max[row] = sums.max;
  params.reciprocal_sum[row] = 1 / sums.exp;
  params.loss[row] = loss_of(sums, logits, shape.C, target, params.smoothing);
}

template <typename T, unsigned threads>
__global__ void __launch_bounds__(block_threads)
    cross_entropy_gradient_kernel(Logits shape, CrossEntropyBackward params) {
  const std::int64_t row = row_of_thread();
  if (row >= shape.rows) return;
  const std::int64_t target = params.target[row];
  const bool ignored = target == params.ignored;
  const float dloss = params.dloss[row * params.dloss_stride];
  const RowGradient gradient{.target = target,
                             .ignored = ignored,
                             .max = ignored ? 0 : params.max[row],
                             .of_exp = ignored ? 0 : dloss * params.reciprocal_sum[row],
                             .of_target = dloss * (1 - params.smoothing),
                             .of_all = dloss * params.smoothing / static_cast<float>(shape.C)};
  write_gradient<T, threads>(gradient, shape, static_cast<const T*>(params.logits) + row * shape.stride,
                             static_cast<T*>(params.dlogits) + row * params.dlogits_stride);
}

using Kept = __nv_bfloat16;  // what a CrossEntropyWithGradient keeps

// While one block of a multiprocessor waits for its row, another computes.
constexpr unsigned kept_row_threads = 512;
constexpr int kept_rows = 2;

unsigned vectors_of_row(const Logits& shape) { return ceil_divide(shape.C, vector_size<Kept>); }

__global__ void __launch_bounds__(kept_row_threads, kept_rows)
    cross_entropy_with_gradient_kernel(Logits shape, CrossEntropyWithGradient params, unsigned vectors) {
  extern __shared__ uint4 kept[];
  const std::int64_t row = blockIdx.x;
  const std::int64_t target = params.target[row];
  const auto* const logits = reinterpret_cast<const Kept*>(kept);
  RowGradient gradient{.target = target, .ignored = target == params.ignored};
  if (!gradient.ignored) {
    const auto* const from =
        reinterpret_cast<const uint4*>(static_cast<const Kept*>(params.logits) + row * shape.stride);
    for (unsigned i = threadIdx.x; i < vectors; i += kept_row_threads) {
      __pipeline_memcpy_async(&kept[i], &from[i], sizeof(uint4));
    }
    __pipeline_commit();
    __pipeline_wait_prior(0);
    __syncthreads();
    Sums sums;
    for_each_element<Kept, kept_row_threads>(logits, shape.C, [&](unsigned, const auto& x) { sums.add(x); });
    sums = reduce<kept_row_threads>(sums);
    gradient.max = sums.max;
    gradient.of_exp = 1 / sums.exp;
    gradient.of_target = 1 - params.smoothing;
    gradient.of_all = params.smoothing / static_cast<float>(shape.C);
    if (threadIdx.x == 0) params.loss[row] = loss_of(sums, logits, shape.C, target, params.smoothing);
  } else if (threadIdx.x == 0) {
    params.loss[row] = 0;
  }
  write_gradient<Kept, kept_row_threads>(gradient, shape, logits,
                                         static_cast<Kept*>(params.dlogits) + row * shape.stride);
}

// Calls run(T(), std::integral_constant<unsigned, threads of a row>()).
template <typename Run>
void dispatch(const Logits& shape, const Run& run) {
  dispatch_element(shape.element, [&](auto zero) {
    if (shape.C <= warp_max_C) return run(zero, std::integral_constant<unsigned, warp_size>());
    return run(zero, std::integral_constant<unsigned, block_threads>());
  });
}

}  // namespace

bool has_memory_for_row(const Logits& shape) {
  constexpr unsigned for_sums = 1024;
  int device = 0;
  int most = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  return vectors_of_row(shape) * sizeof(uint4) + for_sums <= static_cast<unsigned>(most);
}

cudaError_t launch_cross_entropy(const Logits& shape, const CrossEntropyForward& params, cudaStream_t stream) {
  dispatch(shape, [&](auto zero, auto threads) {
    constexpr unsigned rows = block_threads / threads;
    cross_entropy_kernel<decltype(zero), threads>
        <<<ceil_divide(shape.rows, rows), dim3(threads, rows), 0, stream>>>(shape, params);
  });
  return cudaGetLastError();
}

cudaError_t launch_cross_entropy(const Logits& shape, const CrossEntropyBackward& params, cudaStream_t stream) {
  dispatch(shape, [&](auto zero, auto threads) {
    constexpr unsigned rows = block_threads / threads;
    cross_entropy_gradient_kernel<decltype(zero), threads>
        <<<ceil_divide(shape.rows, rows), dim3(threads, rows), 0, stream>>>(shape, params);
  });
  return cudaGetLastError();
}

cudaError_t launch_cross_entropy(const Logits& shape, const CrossEntropyWithGradient& params, cudaStream_t stream) {
  const unsigned vectors = vectors_of_row(shape);
  const unsigned bytes = vectors * sizeof(uint4);
  const cudaError_t error = cudaFuncSetAttribute(cross_entropy_with_gradient_kernel,
                                                 cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (error != cudaSuccess) return error;
  cross_entropy_with_gradient_kernel<<<static_cast<unsigned>(shape.rows), kept_row_threads, bytes, stream>>>(
      shape, params, vectors);
  return cudaGetLastError();
}

}  // namespace trainyard
