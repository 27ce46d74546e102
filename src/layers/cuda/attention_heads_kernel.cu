#include "layers/cuda/attention_heads_kernel.h"
#include "layers/cuda/reduce_blocks.h"
#include "layers/cuda/reduce_rows.cuh"

namespace trainyard {
namespace {

constexpr unsigned resident_blocks = 4;  // per multiprocessor: more would leave too few registers

Grid grid_for_qkv(Activations shape) {
  shape.C *= 3;
  return grid_for(shape, resident_blocks);
}

template <typename T>
__global__ void __launch_bounds__(block_threads, resident_blocks)
    attention_heads_gradient_kernel(AttentionHeadsBackward params, std::int64_t rows, unsigned C) {
  const unsigned column = first_channel<T>();
  const void* const gradient = column < C ? params.dqueries : column < 2 * C ? params.dkeys : params.dvalues;
  const unsigned channel = column % C;
  write_and_reduce<T>(
      params.dqkv, params.workspace, rows, 3 * C,
      [&](std::int64_t row) { return load<T>(gradient, row * C + channel); },
      [](const Vector<T>& loaded, int i) { return loaded.get(i); });
}

}  // namespace

std::int64_t attention_heads_workspace(const Activations& shape) {
  return std::int64_t{3} * grid_for_qkv(shape).blocks.x * shape.C;
}

cudaError_t launch_attention_heads(const Activations& shape, const AttentionHeadsBackward& params,
                                   cudaStream_t stream) {
  const Grid grid = grid_for_qkv(shape);
  dispatch_element(shape.element, [&](auto zero) {
    attention_heads_gradient_kernel<decltype(zero)>
        <<<grid.blocks, grid.threads, 0, stream>>>(params, shape.rows, shape.C);
  });
  launch_reduce_blocks(params.workspace, grid.blocks.x, 3 * shape.C, params.dbias, stream);
  return cudaGetLastError();
}

}  // namespace trainyard
