/// The last step of sums over rows (reduce_rows.cuh): sums the partial sums of the blocks.
#pragma once

#include <cuda_runtime_api.h>

namespace trainyard {

/// partials: blocks × C in GPU memory. Writes C sums to `to`; their order depends on the number of blocks only.
/// Asynchronous on `stream` of the current device; check cudaGetLastError().
void launch_reduce_blocks(const float* partials, unsigned blocks, unsigned C, float* to, cudaStream_t stream);

}  // namespace trainyard
