// GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask Learners"), with the parameter names of
// Hugging Face's GPT2LMHeadModel and the initial distributions of GPT-2: embeddings and weights are normally
// distributed with standard deviation 0.02, or 0.02 / sqrt(2 · layers) in layers that write to the residual stream.
//
// The tensors are those that save_pretrained() writes: transformer.wte.weight, transformer.wpe.weight,
// transformer.h.N.{ln_1, attn.c_attn, attn.c_proj, ln_2, mlp.c_fc, mlp.c_proj}.{weight, bias}, and
// transformer.ln_f.{weight, bias}. Weights of attn and mlp are in × out, as in Hugging Face's Conv1D.
// The head has no weight; it uses transformer.wte.weight. model.weights also accepts:
//   - names without "transformer.", as in the published files of GPT-2
//   - lm_head.weight, if it equals transformer.wte.weight
//   - h.N.attn.bias and h.N.attn.masked_bias, the causal mask in older files: ignored with one warning
//   - transformer.wpe.weight with more positions than model.gpt.context: the first ones are used, as in nanoGPT's
//     crop_block_size

#include <cmath>

#include <ATen/ops/dropout.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/linear.h>

#include "config/component.h"
#include "layers/drop_path.h"
#include "layers/gelu_mlp.h"
#include "layers/layer_norm.h"
#include "layers/output_projection.h"
#include "layers/self_attention.h"
#include "models/model_module.h"
#include "models/residual.h"
#include "util/count_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

struct GptSettings {
  int layers = 0;
  int heads = 0;
  int width = 0;
  int context = 0;
  double dropout = 0;
  double drop_path = 0;

  void declare(SettingTable& table) {
    table.add("layers", layers, "blocks; 0: 4 for gpt, 12 for gpt2", whole(0, 256), Resume::fixed);
    table.add("heads", heads, "attention heads, a divisor of the width; 0: 4 for gpt, 12 for gpt2", whole(0, 256),
              Resume::fixed);
    table.add("width", width, "elements of the residual stream; 0: 128 for gpt, 768 for gpt2", whole(0, 16384),
              Resume::fixed);
    table.add("context", context, "maximum number of tokens; 0: those of a sample for gpt, 1024 for gpt2",
              whole(0, 1 << 20), Resume::fixed);
    table.add("dropout", dropout, "share dropped from embeddings, attention and the output of branches",
              number(0, 0.99), Resume::if_named);
    table.add("drop_path", drop_path,
              "share of the samples that skip a branch of the last block; smaller in earlier blocks", number(0, 0.99),
              Resume::if_named);
  }
};
const ComponentSettings<GptSettings> settings{"model.gpt", {"gpt", "gpt2"}, __FILE__};

struct Size {
  std::int64_t layers;
  std::int64_t heads;
  std::int64_t width;
  std::int64_t context;
  double dropout = 0;
  double drop_path = 0;
};

constexpr double deviation = 0.02;

LayerNorm layer_norm(std::int64_t width) { return LayerNorm(torch::nn::LayerNormOptions({width}).eps(1e-5)); }

class Embedding : public torch::nn::Module {
 public:
  Embedding(std::int64_t rows, std::int64_t width)
      : weight(register_parameter("weight", at::empty({rows, width}).normal_(0, deviation))) {}

  at::Tensor weight;
};

// A linear layer whose weight is stored in × out.
class Conv1D : public torch::nn::Module {
 public:
  Conv1D(std::int64_t in, std::int64_t out, double weight_deviation = deviation)
      : weight_(register_parameter("weight", at::empty({in, out}).normal_(0, weight_deviation))),
        bias(register_parameter("bias", at::zeros({out}))) {}

  at::Tensor weight() const { return weight_.t(); }  // out × in

 private:
  at::Tensor weight_;

 public:
  at::Tensor bias;
};

// The output of a branch whose last layer is `layer`.
PendingAdd output_of(const Conv1D& layer, const at::Tensor& x) { return {at::linear(x, layer.weight()), layer.bias}; }

std::shared_ptr<Conv1D> to_residual(std::int64_t in, const Size& size) {
  return std::make_shared<Conv1D>(in, size.width, deviation / std::sqrt(2.0 * static_cast<double>(size.layers)));
}

class Attention : public torch::nn::Module {
 public:
  explicit Attention(const Size& size)
      : heads_(size.heads),
        dropout_(size.dropout),
        c_attn(register_module("c_attn", std::make_shared<Conv1D>(size.width, 3 * size.width))),
        c_proj(register_module("c_proj", to_residual(size.width, size))) {}

  // x: N × T × width
  PendingAdd forward(const at::Tensor& x) {
    const SelfAttentionOptions options{.heads = heads_, .causal = true, .dropout = is_training() ? dropout_ : 0};
    return output_of(*c_proj, self_attention(x, c_attn->weight(), c_attn->bias, options));
  }

 private:
  std::int64_t heads_;
  double dropout_;
  std::shared_ptr<Conv1D> c_attn;
  std::shared_ptr<Conv1D> c_proj;
};

class Mlp : public torch::nn::Module {
 public:
  explicit Mlp(const Size& size)
      : c_fc(register_module("c_fc", std::make_shared<Conv1D>(size.width, 4 * size.width))),
        c_proj(register_module("c_proj", to_residual(4 * size.width, size))) {}

  PendingAdd forward(const at::Tensor& x) {
    return {gelu_mlp(x, c_fc->weight(), c_fc->bias, c_proj->weight()), c_proj->bias};
  }

 private:
  std::shared_ptr<Conv1D> c_fc;
  std::shared_ptr<Conv1D> c_proj;
};

class Block : public torch::nn::Module {
 public:
  Block(const Size& size, double drop_path)
      : dropout_(size.dropout),
        drop_path_(drop_path),
        ln_1(register_module("ln_1", layer_norm(size.width))),
        attn(register_module("attn", std::make_shared<Attention>(size))),
        ln_2(register_module("ln_2", layer_norm(size.width))),
        mlp(register_module("mlp", std::make_shared<Mlp>(size))) {}

  // The `factors` of forward() for x.
  at::Tensor draw_factors(const at::Tensor& x) const {
    return drop_path_factors(/*branches=*/2, x, is_training() ? drop_path_ : 0);
  }

  Residual forward(const Residual& residual, const at::Tensor& factors) {
    const auto [x, tokens] = ln_1->add_norm(residual.x, residual.pending);
    const Residual mixed = add(x, attn->forward(tokens), factors, 0);
    const auto [mixed_x, mixed_tokens] = ln_2->add_norm(mixed.x, mixed.pending);
    return add(mixed_x, mlp->forward(mixed_tokens), factors, 1);
  }

 private:
  // Dropout and drop path apply to the branch's output including its bias, which the norm cannot do.
  Residual add(const at::Tensor& x, const PendingAdd& branch, const at::Tensor& factors, std::int64_t index) const {
    const bool drops = dropout_ > 0 && is_training();
    if (!drops && !factors.defined()) return {x, branch};
    at::Tensor added = branch.product + branch.bias;
    if (drops) added = at::dropout(added, dropout_, /*train=*/true);
    if (factors.defined()) added = added * factors[index];
    return {x + added, {}};
  }

  double dropout_;
  double drop_path_;
  LayerNorm ln_1;
  std::shared_ptr<Attention> attn;
  LayerNorm ln_2;
  std::shared_ptr<Mlp> mlp;
};

// A list of blocks, named by index.
class Blocks : public torch::nn::Module {
 public:
  explicit Blocks(const Size& size) {
    for (std::int64_t i = 0; i < size.layers; ++i) {
      const double drop_path = drop_path_of_block(size.drop_path, i, size.layers);
      blocks_.push_back(register_module(std::to_string(i), std::make_shared<Block>(size, drop_path)));
    }
  }

  Residual forward(Residual residual) {
    for (const std::shared_ptr<Block>& block : blocks_) {
      residual = forward_block(*block, residual, block->draw_factors(residual.x));
    }
    return residual;
  }

 private:
  std::vector<std::shared_ptr<Block>> blocks_;
};

class Transformer : public torch::nn::Module {
 public:
  Transformer(const Size& size, std::int64_t vocabulary)
      : dropout_(size.dropout),
        wte(register_module("wte", std::make_shared<Embedding>(vocabulary, size.width))),
        wpe(register_module("wpe", std::make_shared<Embedding>(size.context, size.width))),
        h(register_module("h", std::make_shared<Blocks>(size))),
        ln_f(register_module("ln_f", layer_norm(size.width))) {}

  // tokens: N × T. Returns N × T × vocabulary.
  at::Tensor forward(const at::Tensor& tokens) {
    const at::Tensor positions = wpe->weight.narrow(0, 0, tokens.size(1));
    const at::Tensor x = at::dropout(at::embedding(wte->weight, tokens) + positions, dropout_, is_training());
    const Residual residual = h->forward({x, {}});
    return output_projection(ln_f->add_norm(residual.x, residual.pending).normalized, wte->weight);
  }

 private:
  double dropout_;
  std::shared_ptr<Embedding> wte;
  std::shared_ptr<Embedding> wpe;
  std::shared_ptr<Blocks> h;
  LayerNorm ln_f;
};

class Gpt : public ModelModule {
 public:
  Gpt(const Size& size, const ModelInput& input)
      : layers_(size.layers),
        context_(size.context),
        transformer(register_module("transformer", std::make_shared<Transformer>(size, input.outputs))) {}

  TensorDict forward(const TensorDict& batch) override {
    const at::Tensor& tokens = batch.at("tokens");
    if (tokens.size(1) > context_) {
      throw RunError("model",
                     "the model has positions for {}, not for {}: give it fewer, or train one with a "
                     "larger model.gpt.context",
                     count_of(context_, "token"), tokens.size(1));
    }
    return {{"logits", transformer->forward(tokens)}};
  }

  std::string head() const override { return "transformer.wte"; }

  std::vector<Stage> stages() const override {
    std::vector<Stage> stages = {{.name = "embedding", .prefixes = {"transformer.wte", "transformer.wpe"}}};
    for (std::int64_t i = 0; i < layers_; ++i) {
      stages.push_back({.name = fmt::format("h.{}", i), .prefixes = {fmt::format("transformer.h.{}", i)}});
    }
    stages.push_back({.name = "head", .prefixes = {"transformer.ln_f"}});  // its weight belongs to the embedding
    return stages;
  }

  std::string own_name(const std::string& name) const override {
    if (name == "lm_head.weight") return "transformer.wte.weight";
    const std::string prefix = "transformer.";
    const auto is_bare = [&](const char* part) { return name.starts_with(part); };
    const std::string own =
        is_bare("wte.") || is_bare("wpe.") || is_bare("h.") || is_bare("ln_f.") ? prefix + name : name;
    const bool is_mask = own.ends_with(".attn.bias") || own.ends_with(".attn.masked_bias");
    return is_mask && own.starts_with(prefix + "h.") ? "" : own;
  }

  Adapted adapt(const std::string& name, const at::Tensor& given, const at::Tensor& wanted) const override {
    if (name != "transformer.wpe.weight" || given.dim() != 2 || given.size(1) != wanted.size(1)) return {};
    const std::int64_t positions = given.size(0);
    if (positions < context_) {
      return {.tensor = {},
              .note = fmt::format("it has positions for {}: set model.gpt.context to at most that, with samples that "
                                  "are no longer",
                                  count_of(positions, "token"))};
    }
    return {
        .tensor = given.narrow(0, 0, context_),
        .note = fmt::format("cut from {} to {}, as model.gpt.context says", positions, count_of(context_, "position"))};
  }

 private:
  std::int64_t layers_;
  std::int64_t context_;
  std::shared_ptr<Transformer> transformer;
};

// The number of tokens of a sample.
std::int64_t sample_tokens(const ModelInput& input) {
  const Field& tokens = input.field("tokens");
  if (tokens.shape.size() == 1 && tokens.dtype == DType::int32) return tokens.shape[0];
  throw UsageError("model", "a language model takes 'tokens' of int32 in one dimension; samples have {}",
                   describe(input.fields));
}

auto factory(const Size& size) {
  return [size](const ModelConfig& config, const ModelInput& input) -> std::shared_ptr<Model> {
    const GptSettings& given = settings.in(config);
    const auto or_default = [](int value, std::int64_t otherwise) { return value == 0 ? otherwise : value; };
    const std::int64_t tokens = sample_tokens(input);
    const Size chosen{.layers = or_default(given.layers, size.layers),
                      .heads = or_default(given.heads, size.heads),
                      .width = or_default(given.width, size.width),
                      .context = or_default(given.context, size.context == 0 ? tokens : size.context),
                      .dropout = given.dropout,
                      .drop_path = given.drop_path};
    if (chosen.width % chosen.heads != 0) {
      throw UsageError("model.gpt.heads", "{} does not divide model.gpt.width, which is {}", chosen.heads,
                       chosen.width);
    }
    if (tokens > chosen.context) {
      throw UsageError("model.gpt.context", "{} is less than the {} of a sample: raise it, or make samples shorter",
                       chosen.context, count_of(tokens, "token"));
    }
    return std::make_shared<Gpt>(chosen, input);
  };
}

const ModelRegistry::Registration gpt{"gpt",
                                      "GPT-2's architecture in any size; as it is, it trains on a CPU (model.gpt)",
                                      factory({.layers = 4, .heads = 4, .width = 128, .context = 0}), __FILE__};
const ModelRegistry::Registration gpt2{"gpt2", "Hugging Face's gpt2: 12 layers of width 768, 12 heads, 1024 tokens",
                                       factory({.layers = 12, .heads = 12, .width = 768, .context = 1024}), __FILE__};

}  // namespace
}  // namespace trainyard
