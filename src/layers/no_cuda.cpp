#include "layers/attention_heads.h"
#include "layers/batch_norm.h"
#include "layers/fused.h"
#include "layers/layer_norm.h"
#include "layers/self_attention.h"

namespace trainyard {

std::optional<Heads> fused_attention_heads(const at::Tensor&, const at::Tensor&, const at::Tensor&, std::int64_t) {
  return std::nullopt;
}

std::optional<Branches> fused_batch_norm(const torch::nn::BatchNorm2dImpl&, const at::Tensor&,
                                         const std::optional<at::Tensor>&, bool, const AllReduce*,
                                         const std::optional<at::Tensor>&) {
  return std::nullopt;
}

std::optional<Branches> fused_batch_norm_pool(const torch::nn::BatchNorm2dImpl&, const at::Tensor&, const AllReduce*,
                                              const std::optional<at::Tensor>&) {
  return std::nullopt;
}

std::optional<at::Tensor> fused_bias_gelu(const at::Tensor&, const at::Tensor&, Gelu) { return std::nullopt; }

std::optional<SummedConvolution> fused_convolution(const torch::nn::Conv2dImpl&, const at::Tensor&) {
  return std::nullopt;
}

std::optional<at::Tensor> fused_cross_entropy(const at::Tensor&, const at::Tensor&, std::int64_t, double, bool) {
  return std::nullopt;
}

std::optional<at::Tensor> fused_gelu_mlp(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&) {
  return std::nullopt;
}

std::optional<AddNorm> fused_layer_norm(const torch::nn::LayerNormImpl&, const at::Tensor&, const PendingAdd&) {
  return std::nullopt;
}

bool is_capturing(at::Device) { return false; }

std::optional<at::Tensor> fused_max_pool(const at::Tensor&, std::int64_t, std::int64_t, std::int64_t) {
  return std::nullopt;
}

std::optional<at::Tensor> fused_self_attention(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                               const SelfAttentionOptions&) {
  return std::nullopt;
}

}  // namespace trainyard
