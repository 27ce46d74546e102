/// A cuDNN kernel that convolves and sums up its output per channel in the same pass (cuDNN's graph API, genstats).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "layers/cuda/cudnn_descriptor.h"

namespace trainyard {

/// float16 tensors in channels-last memory format, aligned to 16 bytes, without groups; sizes as LibTorch names them.
struct ConvolutionShape {
  std::array<std::int64_t, 4> x;  ///< N × C × height × width
  std::array<std::int64_t, 4> w;  ///< out × C × height × width
  std::array<std::int64_t, 4> y;
  std::array<std::int64_t, 2> stride;
  std::array<std::int64_t, 2> padding;
  std::array<std::int64_t, 2> dilation;

  auto operator<=>(const ConvolutionShape&) const = default;
};

/// One of cuDNN's kernels for a shape, on the device that was current at its creation.
class ConvolutionPlan {
 public:
  /// The plans that cuDNN recommends, the most promising first; none if it has no such kernel. Takes up to a second.
  static std::vector<ConvolutionPlan> recommended(const ConvolutionShape& shape);

  struct Arguments {
    const void* x;
    const void* w;
    void* y;            ///< written: the convolution, accumulated in float32
    float* sum;         ///< written: per channel of y
    float* square_sum;  ///< written: per channel of y
    void* workspace;    ///< workspace() bytes
  };
  /// Asynchronous on the current stream. One thread at a time may call it.
  void run(const Arguments& arguments) const;

  std::int64_t workspace() const { return workspace_; }

 private:
  ConvolutionPlan(CudnnDescriptor config, CudnnDescriptor plan, std::int64_t workspace);

  CudnnDescriptor config_;
  CudnnDescriptor plan_;
  std::int64_t workspace_;
};

}  // namespace trainyard
