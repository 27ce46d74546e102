#include "layers/cuda/gelu_product.h"

#include <array>
#include <memory>
#include <span>

#include <ATen/cuda/CUDAContextLight.h>
#include <ATen/cuda/Exceptions.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAStream.h>

namespace trainyard {
namespace {

constexpr std::uint32_t alignment = 16;
constexpr std::uint64_t most_workspace = 32 << 20;  // bytes; as much as cuBLAS itself takes on an H100
constexpr int most_algorithms = 8;

template <auto destroy>
struct Destroy {
  template <typename T>
  void operator()(T* descriptor) const {
    destroy(descriptor);
  }
};
using Operation = std::unique_ptr<cublasLtMatmulDescOpaque_t, Destroy<cublasLtMatmulDescDestroy>>;
using Layout = std::unique_ptr<cublasLtMatrixLayoutOpaque_t, Destroy<cublasLtMatrixLayoutDestroy>>;
using Preference = std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, Destroy<cublasLtMatmulPreferenceDestroy>>;

template <typename T>
void set(const Operation& operation, cublasLtMatmulDescAttributes_t name, const T& value) {
  const void* const from = static_cast<const void*>(&value);  // the value may itself be a pointer
  TORCH_CUDABLAS_CHECK(cublasLtMatmulDescSetAttribute(operation.get(), name, from, sizeof(value)));
}

template <typename T>
void set(const Preference& preference, cublasLtMatmulPreferenceAttributes_t name, const T& value) {
  TORCH_CUDABLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(preference.get(), name, &value, sizeof(value)));
}

// cuBLASLt's matrices have their columns in memory one after the other, so a contiguous rows × width is its
// width × rows.
Layout layout_of(const at::Tensor& contiguous) {
  const cudaDataType type = contiguous.scalar_type() == at::kHalf ? CUDA_R_16F : CUDA_R_16BF;
  const std::int64_t width = contiguous.size(1);
  cublasLtMatrixLayout_t layout = nullptr;
  TORCH_CUDABLAS_CHECK(cublasLtMatrixLayoutCreate(&layout, type, width, contiguous.size(0), width));
  return Layout(layout);
}

cublasLtEpilogue_t epilogue_of(GeluEpilogue epilogue) {
  switch (epilogue) {
    case GeluEpilogue::gelu:
      return CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
    case GeluEpilogue::gradient:
      return CUBLASLT_EPILOGUE_DGELU;
    case GeluEpilogue::gradient_and_sum:
      return CUBLASLT_EPILOGUE_DGELU_BGRAD;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

// The product in cuBLASLt's terms: yᵀ = weight · xᵀ.
struct Product {
  Product(GeluEpilogue epilogue, const GeluProduct::Arguments& arguments)
      : weight(layout_of(arguments.weight.is_contiguous() ? arguments.weight : arguments.weight.t())),
        x(layout_of(arguments.x)),
        y(layout_of(arguments.y)) {
    cublasLtMatmulDesc_t created = nullptr;
    TORCH_CUDABLAS_CHECK(cublasLtMatmulDescCreate(&created, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    operation.reset(created);
    const cublasOperation_t of_weight = arguments.weight.is_contiguous() ? CUBLAS_OP_T : CUBLAS_OP_N;
    set(operation, CUBLASLT_MATMUL_DESC_TRANSA, of_weight);
    set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(epilogue));
    set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, arguments.input.data_ptr());
    set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, arguments.input.size(1));
    if (arguments.bias.defined()) set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, arguments.bias.data_ptr());
  }

  Layout weight, x, y;
  Operation operation;
};

Preference preference() {
  cublasLtMatmulPreference_t created = nullptr;
  TORCH_CUDABLAS_CHECK(cublasLtMatmulPreferenceCreate(&created));
  Preference preference(created);
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most_workspace);
  // Parts of a sum are added up in float32.
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  for (const auto matrix : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                            CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    set(preference, matrix, alignment);
  }
  return preference;
}

}  // namespace

std::vector<GeluProduct> GeluProduct::recommended(GeluEpilogue epilogue, const Arguments& arguments) {
  const Product product(epilogue, arguments);
  std::array<cublasLtMatmulHeuristicResult_t, most_algorithms> results{};
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      at::cuda::getCurrentCUDABlasLtHandle(), product.operation.get(), product.weight.get(), product.x.get(),
      product.y.get(), product.y.get(), preference().get(), most_algorithms, results.data(), &found);
  if (status != CUBLAS_STATUS_SUCCESS) return {};  // how cuBLASLt says that this GPU has none differs
  std::vector<GeluProduct> products;
  for (const cublasLtMatmulHeuristicResult_t& result : std::span(results).first(found)) {
    if (result.state != CUBLAS_STATUS_SUCCESS) continue;
    products.push_back(GeluProduct(epilogue, result.algo, static_cast<std::int64_t>(result.workspaceSize)));
  }
  return products;
}

void GeluProduct::run(const Arguments& arguments) const {
  const Product product(epilogue_, arguments);
  const at::Tensor workspace = at::empty({workspace_}, arguments.x.options().dtype(at::kByte));
  const float one = 1;
  const float zero = 0;
  void* const y = arguments.y.mutable_data_ptr();
  TORCH_CUDABLAS_CHECK(cublasLtMatmul(
      at::cuda::getCurrentCUDABlasLtHandle(), product.operation.get(), &one, arguments.weight.const_data_ptr(),
      product.weight.get(), arguments.x.const_data_ptr(), product.x.get(), &zero, y, product.y.get(), y,
      product.y.get(), &algorithm_, workspace.mutable_data_ptr(), workspace_, c10::cuda::getCurrentCUDAStream()));
}

}  // namespace trainyard
