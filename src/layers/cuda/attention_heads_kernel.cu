#include "layers/cuda/attention_heads_kernel.h"
#include "layers/cuda/reduce_blocks.h"
#include "layers/cuda/reduce_rows.cuh"

namespace trainyard {
namespace {

constexpr unsigned resident_blocks = 4;  // on a multiprocessor: more leave too few registers

Grid grid_of_three(Activations shape) {
  shape.channels *= 3;
  return grid_of(shape, resident_blocks);
}

template <typename T>
__global__ void __launch_bounds__(block_threads, resident_blocks)
    attention_heads_gradient_kernel(AttentionHeadsBackward task, std::int64_t rows, unsigned channels) {
  const unsigned column = first_channel<T>();
  const void* const gradient = column < channels ? task.dqueries : column < 2 * channels ? task.dkeys : task.dvalues;
  const unsigned channel = column % channels;
  write_and_sum<T>(
      task.dqkv, task.workspace, rows, 3 * channels,
      [&](std::int64_t row) { return load<T>(gradient, row * channels + channel); },
      [](const Vector<T>& loaded, int i) { return loaded.get(i); });
}

}  // namespace

std::int64_t attention_heads_workspace(const Activations& shape) {
  return std::int64_t{3} * grid_of_three(shape).blocks.x * shape.channels;
}

cudaError_t launch_attention_heads(const Activations& shape, const AttentionHeadsBackward& task, cudaStream_t stream) {
  const Grid grid = grid_of_three(shape);
  with_type_of(shape.element, [&](auto zero) {
    attention_heads_gradient_kernel<decltype(zero)>
        <<<grid.blocks, grid.threads, 0, stream>>>(task, shape.rows, shape.channels);
  });
  launch_add_blocks(task.workspace, grid.blocks.x, 3 * shape.channels, task.dbias, stream);
  return cudaGetLastError();
}

}  // namespace trainyard
