#include "layers/cuda/reduce_blocks.h"
#include "layers/cuda/reduce_rows.cuh"

namespace trainyard {
namespace {

// Threads of a block: a tile of blocks × channels.
constexpr unsigned tile_channels = 32;
constexpr unsigned tile_rows = 32;

__global__ void reduce_blocks_kernel(const float* partials, unsigned blocks, unsigned C, float* to) {
  const unsigned c = blockIdx.x * tile_channels + threadIdx.x;
  const bool in_range = c < C;
  float sums[1] = {};
  if (in_range) {
#pragma unroll 4
    for (unsigned block = threadIdx.y; block < blocks; block += tile_rows) {
      sums[0] += partials[std::int64_t{block} * C + c];
    }
  }
  block_reduce_sum<tile_channels * tile_rows>(sums);
  if (in_range && threadIdx.y == 0) to[c] = sums[0];
}

}  // namespace

void launch_reduce_blocks(const float* partials, unsigned blocks, unsigned C, float* to, cudaStream_t stream) {
  reduce_blocks_kernel<<<ceil_divide(C, tile_channels), dim3(tile_channels, tile_rows), 0, stream>>>(partials, blocks,
                                                                                                     C, to);
}

}  // namespace trainyard
