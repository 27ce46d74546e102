// Vision transformers (Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words"; sizes of Touvron et al. 2021, DeiT)
// with the parameter names and initial distributions of timm.models.vision_transformer.

#include "config/component.h"
#include "layers/bias_gelu.h"
#include "layers/drop_path.h"
#include "layers/layer_norm.h"
#include "layers/self_attention.h"
#include "models/layers.h"
#include "models/model_module.h"
#include "models/resample_positions.h"
#include "models/residual.h"
#include "util/error.h"

namespace trainyard {
namespace {

struct VitSettings {
  int patch_size = 16;
  double drop_path = 0;

  void declare(SettingTable& table) {
    table
        .add("patch_size", patch_size, "side of a patch in pixels; 4 or 7 for images of 28 px, 4 or 8 for 32 px",
             whole(1, 1024), Resume::fixed)
        .formerly("model.patch_size");
    table.add("drop_path", drop_path,
              "share of the samples that skip a branch of the last block; smaller in earlier blocks", number(0, 0.99),
              Resume::if_named);
  }
};
const ComponentSettings<VitSettings> settings{"model.vit", {"vit_tiny", "vit_small"}, __FILE__};

struct Size {
  std::int64_t width;
  std::int64_t depth;
  std::int64_t heads;
};

LayerNorm layer_norm(std::int64_t width) { return LayerNorm(torch::nn::LayerNormOptions({width}).eps(1e-6)); }

// timm truncates the normal distribution at ±2, i.e. at 100 standard deviations, which has no effect.
torch::nn::Linear linear(std::int64_t in, std::int64_t out) {
  torch::nn::Linear layer(in, out);
  const at::NoGradGuard no_grad;
  layer->weight.normal_(0, 0.02);
  layer->bias.zero_();
  return layer;
}

// The output of a branch whose last layer is `layer`.
PendingAdd output_of(const torch::nn::Linear& layer, const at::Tensor& x) {
  return {at::linear(x, layer->weight), layer->bias};
}

// The first `count` tokens of x, N × tokens × width. Returns x itself if it has no more: the gradient of a slice would
// be a copy padded with zeros.
at::Tensor first(std::int64_t count, const at::Tensor& x) { return count == x.size(1) ? x : x.narrow(1, 0, count); }

// The norm cannot scale the branch that it adds, so with drop path the branch is added here.
Residual add(const at::Tensor& x, const PendingAdd& branch, const at::Tensor& factors, std::int64_t index) {
  if (!factors.defined()) return {x, branch};
  return {x + (branch.product + branch.bias) * factors[index], {}};
}

class Attention : public torch::nn::Module {
 public:
  explicit Attention(const Size& size)
      : heads_(size.heads),
        qkv(register_module("qkv", linear(size.width, 3 * size.width))),
        proj(register_module("proj", linear(size.width, size.width))) {}

  // x: N × tokens × width. Returns the result for the first `asked` tokens.
  PendingAdd forward(const at::Tensor& x, std::int64_t asked) {
    return output_of(proj, first(asked, self_attention(x, qkv->weight, qkv->bias, {.heads = heads_})));
  }

 private:
  std::int64_t heads_;
  torch::nn::Linear qkv;
  torch::nn::Linear proj;
};

class Mlp : public torch::nn::Module {
 public:
  explicit Mlp(std::int64_t width)
      : fc1(register_module("fc1", linear(width, 4 * width))), fc2(register_module("fc2", linear(4 * width, width))) {}

  PendingAdd forward(const at::Tensor& x) { return output_of(fc2, bias_gelu(at::linear(x, fc1->weight), fc1->bias)); }

 private:
  torch::nn::Linear fc1;
  torch::nn::Linear fc2;
};

class Block : public torch::nn::Module {
 public:
  Block(const Size& size, double drop_path)
      : drop_path_(drop_path),
        norm1(register_module("norm1", layer_norm(size.width))),
        attn(register_module("attn", std::make_shared<Attention>(size))),
        norm2(register_module("norm2", layer_norm(size.width))),
        mlp(register_module("mlp", std::make_shared<Mlp>(size.width))) {}

  // The `factors` of forward() for x.
  at::Tensor draw_factors(const at::Tensor& x) const {
    return drop_path_factors(/*branches=*/2, x, is_training() ? drop_path_ : 0);
  }

  // Returns only the first `asked` tokens.
  Residual forward(const Residual& residual, const at::Tensor& factors, std::int64_t asked) {
    const auto [x, tokens] = norm1->add_norm(residual.x, residual.pending);
    const Residual mixed = add(first(asked, x), attn->forward(tokens, asked), factors, 0);
    const auto [mixed_x, mixed_tokens] = norm2->add_norm(mixed.x, mixed.pending);
    return add(mixed_x, mlp->forward(mixed_tokens), factors, 1);
  }

 private:
  double drop_path_;
  LayerNorm norm1;
  std::shared_ptr<Attention> attn;
  LayerNorm norm2;
  std::shared_ptr<Mlp> mlp;
};

// Splits the image into patches and converts each to a token.
class PatchEmbed : public torch::nn::Module {
 public:
  PatchEmbed(std::int64_t channels, std::int64_t width, std::int64_t patch)
      : proj(register_module("proj",
                             torch::nn::Conv2d(torch::nn::Conv2dOptions(channels, width, patch).stride(patch)))) {}

  at::Tensor forward(const at::Tensor& images) { return proj(images).flatten(2).transpose(1, 2); }

 private:
  torch::nn::Conv2d proj;
};

// What to do if the weights are of other patches.
std::string advice_on_patches(const at::Tensor& given, const at::Tensor& wanted) {
  const bool differ = given.dim() == 4 && given.size(2) == given.size(3) && given.size(2) != wanted.size(2);
  return differ ? fmt::format("set model.vit.patch_size to {}", given.size(2)) : "";
}

class VisionTransformer : public ModelModule {
 public:
  VisionTransformer(const Size& size, const VitSettings& chosen, const ModelInput& input)
      : grid_{.rows = input.image().height / chosen.patch_size, .columns = input.image().width / chosen.patch_size},
        cls_token(register_parameter("cls_token", at::empty({1, 1, size.width}).normal_(0, 1e-6))),
        pos_embed(register_parameter("pos_embed",
                                     at::empty({1, 1 + grid_.rows * grid_.columns, size.width}).normal_(0, 0.02))),
        patch_embed(register_module(
            "patch_embed", std::make_shared<PatchEmbed>(input.image().channels, size.width, chosen.patch_size))),
        blocks(register_module("blocks", torch::nn::Sequential())),
        norm(register_module("norm", layer_norm(size.width))),
        head_(register_module("head", linear(size.width, input.outputs))) {
    for (std::int64_t i = 0; i < size.depth; ++i) {
      blocks->push_back(std::make_shared<Block>(size, drop_path_of_block(chosen.drop_path, i, size.depth)));
    }
  }

  TensorDict forward(const TensorDict& batch) override {
    at::Tensor x = patch_embed->forward(batch.at("image"));
    x = at::cat({cls_token.expand({x.size(0), -1, -1}), x}, 1) + pos_embed;
    Residual residual{.x = x, .pending = {}};
    for (std::size_t i = 0; i < blocks->size(); ++i) {
      const bool last = i + 1 == blocks->size();  // only its class token is used
      Block& block = blocks->at<Block>(i);
      residual = forward_block(block, residual, block.draw_factors(residual.x), last ? 1 : x.size(1));
    }
    return {{"logits", head_(norm->add_norm(residual.x, residual.pending).normalized.flatten(1))}};
  }

  std::string head() const override { return "head"; }

  std::vector<Stage> stages() const override {
    std::vector<Stage> stages = {{.name = "embedding", .prefixes = {"cls_token", "pos_embed", "patch_embed"}}};
    for (std::size_t i = 0; i < blocks->size(); ++i) {
      const std::string name = fmt::format("blocks.{}", i);
      stages.push_back({.name = name, .prefixes = {name}});
    }
    stages.push_back({.name = "head", .prefixes = {"norm", "head"}});
    return stages;
  }

  Adapted adapt(const std::string& name, const at::Tensor& given, const at::Tensor& wanted) const override {
    if (name == "pos_embed") return resample_positions(given, wanted, grid_);
    if (name == "patch_embed.proj.weight") return {.tensor = {}, .note = advice_on_patches(given, wanted)};
    return {};
  }

 private:
  PatchGrid grid_;
  at::Tensor cls_token;
  at::Tensor pos_embed;
  std::shared_ptr<PatchEmbed> patch_embed;
  torch::nn::Sequential blocks;
  LayerNorm norm;
  torch::nn::Linear head_;
};

auto factory(const Size& size) {
  return [size](const ModelConfig& config, const ModelInput& input) -> std::shared_ptr<Model> {
    const VitSettings& chosen = settings.in(config);
    const int patch = chosen.patch_size;
    const ImageShape image = input.image();
    if (image.height % patch != 0 || image.width % patch != 0) {
      throw UsageError("model.vit.patch_size",
                       "{} does not divide images of {}×{}; 28 px take 4 or 7, 32 px take 4 or 8", patch, image.height,
                       image.width);
    }
    return std::make_shared<VisionTransformer>(size, chosen, input);
  };
}

const ModelRegistry::Registration vit_tiny{"vit_tiny",
                                           "timm's vit_tiny: width 192, 12 blocks, 3 heads (model.vit.patch_size)",
                                           factory({.width = 192, .depth = 12, .heads = 3}), __FILE__};
const ModelRegistry::Registration vit_small{"vit_small",
                                            "timm's vit_small: width 384, 12 blocks, 6 heads (model.vit.patch_size)",
                                            factory({.width = 384, .depth = 12, .heads = 6}), __FILE__};

}  // namespace
}  // namespace trainyard
