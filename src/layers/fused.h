/// The CUDA implementations behind the operations of this module. Each function returns an empty value, without side
/// effects, for arguments that its kernels do not support (see `applies()` in cuda/<operation>.cpp), and the caller
/// uses LibTorch's operators; a build without CUDA (no_cuda.cpp) always does. Results are bit-identical from run to run
/// on one kind of GPU, and no function waits for the device, unless noted.
#pragma once

#include <cstdint>
#include <optional>

#include "layers/synchronized_batch_norm.h"
#include "util/torch.h"

namespace torch::nn {
class BatchNorm2dImpl;
class Conv2dImpl;
class LayerNormImpl;
}  // namespace torch::nn

namespace trainyard {

// Defined in the headers of their operations; those of the norms include torch::nn, which not all operations need.
struct AddNorm;
struct Branches;
enum class Gelu : std::uint8_t;
struct Heads;
struct PendingAdd;
struct SelfAttentionOptions;

/// attention_heads()
std::optional<Heads> fused_attention_heads(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                           std::int64_t heads);

/// Views into qkv, N × tokens × 3 · width. Plain LibTorch, shared by both implementations of attention_heads().
Heads split_heads(const at::Tensor& qkv, std::int64_t heads);

/// Normalizes `x` over the batch and updates the layer's running statistics; adds `residual`, if there is one, and
/// applies a ReLU, if `relu`, in the same pass. REQUIRES `relu` if there is a residual. Without a residual only `main`
/// of the result is defined; with one, both tensors share one memory, and the backward pass adds their gradients. With
/// `all_reduce` the batch is that of all processes, as of synchronized_batch_norm(); otherwise `sums` may have the
/// statistics of `x`, see SummedConvolution.
std::optional<Branches> fused_batch_norm(const torch::nn::BatchNorm2dImpl& layer, const at::Tensor& x,
                                         const std::optional<at::Tensor>& residual, bool relu,
                                         const AllReduce* all_reduce,
                                         const std::optional<at::Tensor>& sums = std::nullopt);

/// max_pool(relu(normalized x), 3, 2, 1), twice, in the passes of fused_batch_norm(): what is pooled is never written.
std::optional<Branches> fused_batch_norm_pool(const torch::nn::BatchNorm2dImpl& layer, const at::Tensor& x,
                                              const AllReduce* all_reduce,
                                              const std::optional<at::Tensor>& sums = std::nullopt);

/// bias_gelu()
std::optional<at::Tensor> fused_bias_gelu(const at::Tensor& product, const at::Tensor& bias, Gelu form);

/// The output of a convolution.
struct SummedConvolution {
  at::Tensor y;
  at::Tensor sums;  ///< float32, 2 × channels: of each channel the sum of y and the sum of y²; has no gradient
};

/// Returns conv(x) if a kernel that also computes the sums is faster than a separate pass over the output. The first
/// call with each shape measures this and waits for the device; shapes that are first seen during the capture of a CUDA
/// graph are not supported. The sums are not bit-identical from run to run.
std::optional<SummedConvolution> fused_convolution(const torch::nn::Conv2dImpl& conv, const at::Tensor& x);

/// cross_entropy(); with `overwrites` cross_entropy_in_place()
std::optional<at::Tensor> fused_cross_entropy(const at::Tensor& logits, const at::Tensor& target, std::int64_t ignored,
                                              double label_smoothing, bool overwrites);

/// gelu_mlp(), if products that apply GELU are faster. The first call with each shape measures this and waits for the
/// device; shapes that are first seen during the capture of a CUDA graph are not supported.
std::optional<at::Tensor> fused_gelu_mlp(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                         const at::Tensor& projection);

/// Adds `pending`, if defined, to `x` and normalizes the sum in the same pass. The sum is float32; the normalized
/// sum has autocast's type, float32 without autocast. With nothing to add the sum shares the memory of `x`.
std::optional<AddNorm> fused_layer_norm(const torch::nn::LayerNormImpl& layer, const at::Tensor& x,
                                        const PendingAdd& pending);

/// Whether what this thread launches on its current stream of `device`, a GPU, is captured in a CUDA graph.
bool is_capturing(at::Device device);

/// max_pool()
std::optional<at::Tensor> fused_max_pool(const at::Tensor& x, std::int64_t size, std::int64_t stride,
                                         std::int64_t padding);

/// self_attention(), for short sequences
std::optional<at::Tensor> fused_self_attention(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                               const SelfAttentionOptions& options);

}  // namespace trainyard
