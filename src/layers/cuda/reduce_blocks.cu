#include "layers/cuda/reduce_blocks.h"
#include "layers/cuda/reduce_rows.cuh"

namespace trainyard {
namespace {

// Columns of a block, and threads for each of them.
constexpr unsigned abreast = 32;
constexpr unsigned threads_each = 32;

__global__ void add_blocks_kernel(const float* partials, unsigned blocks, unsigned columns, float* to) {
  const unsigned column = blockIdx.x * abreast + threadIdx.x;
  const bool inside = column < columns;
  float sums[1] = {};
  if (inside) {
#pragma unroll 4
    for (unsigned block = threadIdx.y; block < blocks; block += threads_each) {
      sums[0] += partials[std::int64_t{block} * columns + column];
    }
  }
  sum_over_column<abreast * threads_each>(sums);
  if (inside && threadIdx.y == 0) to[column] = sums[0];
}

}  // namespace

void launch_add_blocks(const float* partials, unsigned blocks, unsigned columns, float* to, cudaStream_t stream) {
  add_blocks_kernel<<<ceil_divide(columns, abreast), dim3(abreast, threads_each), 0, stream>>>(partials, blocks,
                                                                                               columns, to);
}

}  // namespace trainyard
