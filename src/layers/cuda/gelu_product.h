/// Matrix products of cuBLASLt that apply a GELU or its gradient to what they write (epilogues).
#pragma once

#include <cstdint>
#include <vector>

#include <cublasLt.h>

#include "util/torch.h"

namespace trainyard {

/// What becomes of a product. GELU is the approximation by tanh.
enum class GeluEpilogue : std::uint8_t {
  gelu,             ///< input = product + bias; y = gelu(input)
  gradient,         ///< y = product · gelu'(input)
  gradient_and_sum  ///< likewise; bias = y, summed over the rows
};

/// One of cuBLASLt's algorithms for an epilogue and a shape. The same arguments yield the same bits.
class GeluProduct {
 public:
  /// float16 or bfloat16 matrices of one type on the current device, aligned to 16 bytes; `in` and `out` are multiples
  /// of 8. The product is x · weightᵀ, accumulated in float32.
  struct Arguments {
    at::Tensor x;       ///< rows × in, contiguous
    at::Tensor weight;  ///< out × in; contiguous, or the transpose of a contiguous matrix
    at::Tensor y;       ///< written: rows × out, contiguous
    at::Tensor input;   ///< rows × out, contiguous; written by `gelu`, read by the others
    at::Tensor bias;    ///< out; read by `gelu`, written by `gradient_and_sum`, undefined for `gradient`
  };

  /// What cuBLASLt recommends for such arguments, the most promising first; nothing if it has no such product.
  static std::vector<GeluProduct> recommended(GeluEpilogue epilogue, const Arguments& arguments);

  /// Asynchronous on the current stream. REQUIRES the device, type, sizes and strides that it was recommended for.
  void run(const Arguments& arguments) const;

  GeluEpilogue epilogue() const { return epilogue_; }

 private:
  GeluProduct(GeluEpilogue epilogue, const cublasLtMatmulAlgo_t& algorithm, std::int64_t workspace)
      : epilogue_(epilogue), algorithm_(algorithm), workspace_(workspace) {}

  GeluEpilogue epilogue_;
  cublasLtMatmulAlgo_t algorithm_;
  std::int64_t workspace_;  // bytes
};

}  // namespace trainyard
