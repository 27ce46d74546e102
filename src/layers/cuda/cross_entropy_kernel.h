/// Launches the kernels of fused_cross_entropy(). Includes no LibTorch header: nvcc takes minutes to parse those.
#pragma once

#include <cstdint>

#include <cuda_runtime_api.h>

#include "layers/cuda/activations.h"

namespace trainyard {

/// A matrix in GPU memory, aligned to 16 bytes; its rows need not be.
struct Logits {
  std::int64_t rows;
  std::int64_t stride;   ///< elements from one row to the next
  std::uint32_t C;       ///< classes, the first elements of a row
  std::uint32_t padded;  ///< elements of a row, at least C
  Element element;
};

/// loss = logsumexp(logits) - (1 - smoothing) · logits[target] - smoothing · mean(logits), and 0 if target == ignored.
struct CrossEntropyForward {
  const void* logits;
  const std::int64_t* target;  ///< rows
  std::int64_t ignored;
  float smoothing;
  float* loss;            ///< rows
  float* max;             ///< written unless ignored: rows
  float* reciprocal_sum;  ///< written unless ignored: rows; 1 / sum(exp(logits - max))
};

/// The gradient of a CrossEntropyForward.
struct CrossEntropyBackward {
  const float* dloss;  ///< rows
  std::int64_t dloss_stride;
  const void* logits;
  const std::int64_t* target;
  std::int64_t ignored;
  float smoothing;
  const float* max;
  const float* reciprocal_sum;
  void* dlogits;                ///< aligned to 16 bytes; padding is set to zero
  std::int64_t dlogits_stride;  ///< REQUIRES the same remainder as that of logits modulo the elements per 16 bytes
};

/// The loss as of a CrossEntropyForward and its gradient in one pass over the logits, which a block keeps in its shared
/// memory. The elements are bfloat16, and the rows are aligned to 16 bytes.
struct CrossEntropyWithGradient {
  const void* logits;
  const std::int64_t* target;  ///< rows
  std::int64_t ignored;
  float smoothing;
  float* loss;  ///< rows
  /// Each row's gradient of its loss, strided like the logits; padding is set to zero. May be the memory of the logits.
  void* dlogits;
};

/// Whether the current device has the shared memory for a CrossEntropyWithGradient.
bool has_memory_for_row(const Logits& shape);

/// Asynchronous on `stream` of the current device; return the error of the launch.
cudaError_t launch_cross_entropy(const Logits& shape, const CrossEntropyForward& params, cudaStream_t stream);
cudaError_t launch_cross_entropy(const Logits& shape, const CrossEntropyBackward& params, cudaStream_t stream);
cudaError_t launch_cross_entropy(const Logits& shape, const CrossEntropyWithGradient& params, cudaStream_t stream);

}  // namespace trainyard
