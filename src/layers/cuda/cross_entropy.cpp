#include "layers/cross_entropy.h"

#include <limits>

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/csrc/autograd/custom_function.h>

#include "layers/cuda/cross_entropy_kernel.h"
#include "layers/cuda/rows.h"
#include "layers/fused.h"
#include "layers/output_projection.h"

namespace trainyard {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Mismatched shapes are left to LibTorch, which reports them.
bool applies(const at::Tensor& logits, const at::Tensor& target, double label_smoothing) {
  return logits.is_cuda() && element_of(logits.scalar_type()) && logits.dim() == 2 && logits.numel() > 0 &&
         logits.size(1) <= std::numeric_limits<std::int32_t>::max() && target.scalar_type() == at::kLong &&
         target.device() == logits.device() && target.dim() == 1 && target.size(0) == logits.size(0) &&
         label_smoothing >= 0 && label_smoothing <= 1;
}

// Returns the matrix of which the logits are the first columns, or the logits themselves if they are no such view. The
// gradient of a view would be copied to one of the matrix.
at::Tensor matrix_of(const at::Tensor& logits) {
  if (!logits.requires_grad() || !logits.is_view()) return logits;
  const at::Tensor matrix(logits._base());
  const std::int64_t width = matrix.dim() > 1 ? matrix.size(-1) : 0;
  const bool has_its_rows = matrix.requires_grad() && matrix.scalar_type() == logits.scalar_type() &&
                            matrix.is_contiguous() && matrix.numel() == logits.size(0) * width &&
                            logits.storage_offset() == matrix.storage_offset() && logits.size(1) <= width &&
                            logits.stride(1) == 1 && logits.stride(0) == width;
  if (!has_its_rows) return logits;
  return matrix.dim() == 2 ? matrix : matrix.view({-1, width});
}

at::Tensor with_aligned_memory(const at::Tensor& matrix) {
  const bool has_rows = matrix.stride(1) == 1 && matrix.stride(0) >= matrix.size(1);
  return has_rows && begins_at_a_vector(matrix) ? matrix : rows_of(matrix);
}

Logits shape_of(const at::Tensor& matrix, std::int64_t classes) {
  return {.rows = matrix.size(0),
          .stride = matrix.stride(0),
          .C = static_cast<std::uint32_t>(classes),
          .padded = static_cast<std::uint32_t>(matrix.size(1)),
          .element = *element_of(matrix.scalar_type())};
}

class CrossEntropy : public torch::autograd::Function<CrossEntropy> {
 public:
  // The first `classes` columns of `matrix` are the logits.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& matrix, std::int64_t classes,
                            const at::Tensor& target, std::int64_t ignored, double label_smoothing) {
    const at::TensorOptions floats = matrix.options().dtype(at::kFloat);
    const at::Tensor losses = at::empty({matrix.size(0)}, floats);
    const at::Tensor statistics = at::empty({2, matrix.size(0)}, floats);
    const CrossEntropyForward params{.logits = matrix.const_data_ptr(),
                                     .target = target.const_data_ptr<std::int64_t>(),
                                     .ignored = ignored,
                                     .smoothing = static_cast<float>(label_smoothing),
                                     .loss = losses.mutable_data_ptr<float>(),
                                     .max = statistics.mutable_data_ptr<float>(),
                                     .reciprocal_sum = statistics.mutable_data_ptr<float>() + matrix.size(0)};
    C10_CUDA_CHECK(launch_cross_entropy(shape_of(matrix, classes), params, c10::cuda::getCurrentCUDAStream()));
    context->save_for_backward({matrix, target, statistics});
    context->saved_data["classes"] = classes;
    context->saved_data["ignored"] = ignored;
    context->saved_data["label_smoothing"] = label_smoothing;
    return losses;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "cross_entropy() has no second derivative");
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &matrix = saved[0], &target = saved[1], &statistics = saved[2];
    const c10::cuda::CUDAGuard on_device(matrix.device());
    const Logits shape = shape_of(matrix, context->saved_data["classes"].toInt());
    const std::int64_t vector = 16 / matrix.element_size();
    const std::int64_t stride = matrix.size(1) + (shape.stride - matrix.size(1)) % vector;
    const at::Tensor dmatrix = at::empty_strided(matrix.sizes(), {stride, 1}, matrix.options());
    const CrossEntropyBackward params{
        .dloss = gradients[0].const_data_ptr<float>(),
        .dloss_stride = gradients[0].stride(0),
        .logits = matrix.const_data_ptr(),
        .target = target.const_data_ptr<std::int64_t>(),
        .ignored = context->saved_data["ignored"].toInt(),
        .smoothing = static_cast<float>(context->saved_data["label_smoothing"].toDouble()),
        .max = statistics.const_data_ptr<float>(),
        .reciprocal_sum = statistics.const_data_ptr<float>() + shape.rows,
        .dlogits = dmatrix.mutable_data_ptr(),
        .dlogits_stride = stride};
    C10_CUDA_CHECK(launch_cross_entropy(shape, params, c10::cuda::getCurrentCUDAStream()));
    return {dmatrix, {}, {}, {}, {}};
  }
};

// Whether to compute the gradient with the loss. float16 could not represent gradients that are not scaled yet. Shorter
// rows take too little time to matter.
bool computes_both(const at::Tensor& matrix, std::int64_t classes) {
  constexpr std::int64_t least_classes = 4096;
  return at::GradMode::is_enabled() && matrix.scalar_type() == at::kBFloat16 && classes >= least_classes &&
         matrix.is_contiguous() && matrix.size(1) % 8 == 0 && begins_at_a_vector(matrix) &&
         matrix.size(0) <= std::numeric_limits<std::int32_t>::max() && has_memory_for_row(shape_of(matrix, classes));
}

// The loss as a function of the operands of a Projection. Its gradient by the logits is computed with the loss, before
// the losses' own gradients are known: these scale a row of the gradient, and so a row of either product with it.
class ProjectedCrossEntropy : public torch::autograd::Function<ProjectedCrossEntropy> {
 public:
  // matrix = x · weightᵀ; its first `classes` columns are the logits.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const at::Tensor& matrix, std::int64_t classes, const at::Tensor& target,
                            std::int64_t ignored, double label_smoothing, bool overwrites) {
    const at::Tensor losses = at::empty({matrix.size(0)}, matrix.options().dtype(at::kFloat));
    const at::Tensor dmatrix = overwrites ? matrix : at::empty_like(matrix);
    const CrossEntropyWithGradient params{.logits = matrix.const_data_ptr(),
                                          .target = target.const_data_ptr<std::int64_t>(),
                                          .ignored = ignored,
                                          .smoothing = static_cast<float>(label_smoothing),
                                          .loss = losses.mutable_data_ptr<float>(),
                                          .dlogits = dmatrix.mutable_data_ptr()};
    C10_CUDA_CHECK(launch_cross_entropy(shape_of(matrix, classes), params, c10::cuda::getCurrentCUDAStream()));
    context->save_for_backward({x, weight, target, dmatrix});
    context->saved_data["ignored"] = ignored;
    return losses;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "cross_entropy() has no second derivative");
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &target = saved[2], &dmatrix = saved[3];
    const c10::cuda::CUDAGuard on_device(x.device());
    // The gradient of an ignored row's loss may be infinite: that of a mean of no losses.
    const at::Tensor is_ignored = target.eq(context->saved_data["ignored"].toInt());
    const at::Tensor scale = gradients[0].masked_fill(is_ignored, 0).unsqueeze(1);
    variable_list results(8);
    if (context->needs_input_grad(0)) results[0] = at::mm(dmatrix, weight).mul_(scale);
    if (context->needs_input_grad(1)) {
      at::Tensor scaled = at::empty_like(x);
      results[1] = at::mm(dmatrix.t(), at::mul_out(scaled, x, scale));
    }
    return results;
  }
};

}  // namespace

std::optional<at::Tensor> fused_cross_entropy(const at::Tensor& logits, const at::Tensor& target, std::int64_t ignored,
                                              double label_smoothing, bool overwrites) {
  if (!applies(logits, target, label_smoothing)) return std::nullopt;
  const c10::cuda::CUDAGuard on_device(logits.device());
  const at::Tensor matrix = matrix_of(logits);
  const std::int64_t classes = logits.size(1);
  const at::Tensor targets = target.contiguous();
  if (const std::optional<Projection> projection = projection_of(matrix);
      projection && computes_both(matrix, classes)) {
    return ProjectedCrossEntropy::apply(projection->x, projection->weight, matrix.detach(), classes, targets, ignored,
                                        label_smoothing, overwrites);
  }
  return CrossEntropy::apply(with_aligned_memory(matrix), classes, targets, ignored, label_smoothing);
}

}  // namespace trainyard
