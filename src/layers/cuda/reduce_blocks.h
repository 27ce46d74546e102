/// The last step of sums over rows (reduce_rows.cuh): each block of a kernel has written the sums of its own.
#pragma once

#include <cuda_runtime_api.h>

namespace trainyard {

/// partials: blocks × columns, in the GPU's memory. Writes `columns` sums to `to`, the order of which depends on the
/// number of blocks alone. Started on `stream` of the current device; cudaGetLastError() says whether it was.
void launch_add_blocks(const float* partials, unsigned blocks, unsigned columns, float* to, cudaStream_t stream);

}  // namespace trainyard
