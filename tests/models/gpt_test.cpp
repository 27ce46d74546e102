#include <cmath>
#include <map>

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros_like.h>

#include "models/model_inputs.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/expect_close.h"
#include "support/small_model.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const ModelInput small = language_input(16, 50);
// A small GPT, changed by `flags`.
std::shared_ptr<Model> make(const std::string& flags = "", const ModelInput& input = small) {
  std::string all = "--model.name gpt " + flags;
  for (const char* flag : {"--model.gpt.layers 2", "--model.gpt.heads 2", "--model.gpt.width 32"}) {
    const std::string text = flag;
    if (flags.find(text.substr(0, text.find(' '))) == std::string::npos) all += " " + text;
  }
  return make_model(configured(all).model, input);
}

at::Tensor tokens_of(std::int64_t count, std::int64_t length) { return at::randint(0, 50, {count, length}, at::kLong); }

at::Tensor logits_of(Model& model, const at::Tensor& tokens) {
  return model.forward({{"tokens", tokens}}).at("logits");
}

TEST(Gpt, SizeOfGpt2IsThePublishedOne) {
  const auto model = make_model({.name = "gpt2"}, language_input(128, 50257));
  EXPECT_EQ(parameter_count(*model), 124'439'808);
}

TEST(Gpt, TensorNamesAndShapesAreHuggingFaces) {
  std::vector<std::string> tensors;
  for (const auto& [name, tensor] : make("--model.gpt.layers 1")->state_dict()) {
    tensors.push_back(fmt::format("{} {}", name, fmt::join(tensor.sizes(), "x")));
  }
  EXPECT_EQ(tensors,
            (std::vector<std::string>{"transformer.wte.weight 50x32", "transformer.wpe.weight 16x32",
                                      "transformer.h.0.ln_1.weight 32", "transformer.h.0.ln_1.bias 32",
                                      "transformer.h.0.attn.c_attn.weight 32x96", "transformer.h.0.attn.c_attn.bias 96",
                                      "transformer.h.0.attn.c_proj.weight 32x32", "transformer.h.0.attn.c_proj.bias 32",
                                      "transformer.h.0.ln_2.weight 32", "transformer.h.0.ln_2.bias 32",
                                      "transformer.h.0.mlp.c_fc.weight 32x128", "transformer.h.0.mlp.c_fc.bias 128",
                                      "transformer.h.0.mlp.c_proj.weight 128x32", "transformer.h.0.mlp.c_proj.bias 32",
                                      "transformer.ln_f.weight 32", "transformer.ln_f.bias 32"}));
}

TEST(Gpt, TiedWeightIsOneParameterWithBothGradients) {
  const auto model = make();
  const at::Tensor tokens = at::zeros({1, 4}, at::kLong);
  logits_of(*model, tokens).sum().backward();
  const NamedTensors parameters = model->named_parameters();
  EXPECT_EQ(
      std::count_if(parameters.begin(), parameters.end(), [](const auto& entry) { return entry.second.size(0) == 50; }),
      1);
  // A token that does not occur in the text gets its gradient only from the head.
  EXPECT_GT(parameters.front().second.grad()[7].abs().max().item<double>(), 0);
}

TEST(Gpt, InitialDistributionsAreGpt2s) {
  at::manual_seed(1);
  const auto model = make("--model.gpt.layers 8 --model.gpt.width 256", language_input(64, 1000));
  const auto deviation = [&](const char* name) { return tensor_of(*model, name).std().item<double>(); };
  for (const char* name : {"transformer.wte.weight", "transformer.wpe.weight", "transformer.h.3.attn.c_attn.weight",
                           "transformer.h.7.mlp.c_fc.weight"}) {
    EXPECT_NEAR(deviation(name), 0.02, 5e-4) << name;
  }
  for (const char* name : {"transformer.h.0.attn.c_proj.weight", "transformer.h.7.mlp.c_proj.weight"}) {
    EXPECT_NEAR(deviation(name), 0.02 / std::sqrt(2 * 8), 1e-4) << name;
  }
  EXPECT_EQ(tensor_of(*model, "transformer.h.3.attn.c_attn.bias").abs().max().item<double>(), 0);
}

TEST(Gpt, ATokenSeesOnlyThoseBeforeIt) {
  const auto model = make();
  const at::Tensor tokens = tokens_of(2, 16);
  const at::Tensor before = logits_of(*model, tokens);
  EXPECT_EQ(before.sizes(), (std::vector<std::int64_t>{2, 16, 50}));
  tokens.select(1, 9).add_(1).remainder_(50);
  const at::Tensor after = logits_of(*model, tokens);
  EXPECT_TRUE(at::equal(before.narrow(1, 0, 9), after.narrow(1, 0, 9)));
  EXPECT_FALSE(at::equal(before.narrow(1, 9, 7), after.narrow(1, 9, 7)));
}

TEST(Gpt, AcceptsFewerTokensThanItsContextAndRefusesMore) {
  const auto model = make("--model.gpt.context 20");
  EXPECT_EQ(logits_of(*model, tokens_of(3, 5)).sizes(), (std::vector<std::int64_t>{3, 5, 50}));
  EXPECT_EQ(logits_of(*model, tokens_of(1, 20)).sizes(), (std::vector<std::int64_t>{1, 20, 50}));
  EXPECT_THAT(error_of<RunError>([&] { logits_of(*model, tokens_of(1, 21)); }), HasSubstr("20 tokens, not for 21"));
}

TEST(Gpt, ContextIsThatOfASampleUnlessItIsGiven) {
  EXPECT_EQ(tensor_of(*make(), "transformer.wpe.weight").size(0), 16);
  EXPECT_EQ(tensor_of(*make("--model.gpt.context 40"), "transformer.wpe.weight").size(0), 40);
  EXPECT_THAT(error_of<UsageError>([&] { make("--model.gpt.context 8"); }),
              HasSubstr("[model.gpt.context] 8 is less than the 16 tokens of a sample"));
}

TEST(Gpt, RefusesHeadsThatDoNotDivideTheWidth) {
  EXPECT_THAT(error_of<UsageError>([&] { make("--model.gpt.heads 3"); }),
              HasSubstr("[model.gpt.heads] 3 does not divide model.gpt.width, which is 32"));
}

TEST(Gpt, RefusesSamplesWithoutTokens) {
  EXPECT_THAT(error_of<UsageError>([&] { make("", image_input({.channels = 1, .height = 8, .width = 8}, 2)); }),
              HasSubstr("needs a field 'tokens'"));
  ModelInput table = small;
  table.fields[0].shape = {16, 2};
  EXPECT_THAT(error_of<UsageError>([&] { make("", table); }), HasSubstr("'tokens' of int32 in one dimension"));
}

TEST(Gpt, DropsElementsInTrainingOnly) {
  at::manual_seed(1);
  const auto plain = make();
  const auto model = make("--model.gpt.dropout 0.3");
  load_state_dict(*model, plain->state_dict(), "test");
  const at::Tensor tokens = tokens_of(2, 16);
  EXPECT_FALSE(at::equal(logits_of(*model, tokens), logits_of(*model, tokens)));
  model->eval();
  EXPECT_TRUE(at::equal(logits_of(*model, tokens), logits_of(*plain, tokens)));
}

TEST(Gpt, MultiplyAddsAreThoseOfProductsWithEitherAttention) {
  const std::int64_t tokens = 16;
  const std::int64_t width = 32;
  const std::int64_t expected = 2 * (12 * width * width * tokens + 2 * tokens * tokens * width) + 50 * width * tokens;
  const auto model = make();
  const bool was_on = at::globalContext().userEnabledFlashSDP();
  for (const bool flash : {true, false}) {
    at::globalContext().setSDPUseFlash(flash);
    EXPECT_EQ(multiply_adds(*model, small), expected) << flash;
  }
  at::globalContext().setSDPUseFlash(was_on);
}

class GptWeights : public testing::Test {
 protected:
  // Returns the source's tensors under the names of a file.
  template <typename Rename>
  NamedTensors file(const Rename& rename) const {
    NamedTensors state;
    for (const auto& [name, tensor] : source_->state_dict()) state.emplace_back(rename(name), tensor.detach().clone());
    return state;
  }
  static std::string bare(const std::string& name) { return name.substr(std::string("transformer.").size()); }

  // Loads the weights and returns the log's output.
  std::string load(const NamedTensors& state) {
    testing::internal::CaptureStdout();
    load_weights(*model_, state, /*reset_head=*/false, "w.safetensors");
    return testing::internal::GetCapturedStdout();
  }
  void expect_loaded() {
    const at::Tensor tokens = tokens_of(1, 16);
    EXPECT_TRUE(at::equal(logits_of(*model_, tokens), logits_of(*source_, tokens)));
  }

  std::shared_ptr<Model> source_ = make();
  std::shared_ptr<Model> model_ = make();
};

TEST_F(GptWeights, NamesWithoutTransformerAreAccepted) {
  load(file(bare));
  expect_loaded();
}

TEST_F(GptWeights, PrefixOfWrappersIsLeftOutOfBareNames) {
  EXPECT_THAT(load(file([](const std::string& name) { return "module." + bare(name); })), HasSubstr("'module.'"));
  expect_loaded();
}

TEST_F(GptWeights, CausalMasksAreIgnoredAndSaid) {
  NamedTensors state = file(bare);
  for (const char* layer : {"h.0", "h.1"}) {
    state.emplace_back(std::string(layer) + ".attn.bias", at::ones({1, 1, 16, 16}).tril());
    state.emplace_back(std::string(layer) + ".attn.masked_bias", at::full({}, -1e4));
  }
  EXPECT_THAT(load(state), HasSubstr("4 of its tensors are ignored, which the model has no use for: h.0.attn.bias"));
  expect_loaded();
}

TEST_F(GptWeights, HeadIsAcceptedIfItIsTheEmbedding) {
  NamedTensors state = source_->state_dict();
  state.emplace_back("lm_head.weight", tensor_of(*source_, "transformer.wte.weight").clone());
  EXPECT_THAT(load(state), Not(HasSubstr("ignored")));
  expect_loaded();
}

TEST_F(GptWeights, HeadThatDiffersFromTheEmbeddingIsRefused) {
  NamedTensors state = source_->state_dict();
  for (const at::Tensor& other : {tensor_of(*source_, "transformer.wte.weight") + 1, at::zeros({3, 32}),
                                  tensor_of(*source_, "transformer.wte.weight").to(at::kHalf)}) {
    state.emplace_back("lm_head.weight", other);
    EXPECT_THAT(error_of<RunError>([&] { load(state); }),
                HasSubstr("'transformer.wte.weight' and 'lm_head.weight' are one tensor of the model, but differ"));
    testing::internal::GetCapturedStdout();
    state.pop_back();
  }
}

TEST_F(GptWeights, OtherTensorsAreRefusedByTheNameTheyHave) {
  NamedTensors state = source_->state_dict();
  state.emplace_back("score.weight", at::zeros({2, 32}));
  EXPECT_THAT(error_of<RunError>([&] { load(state); }), HasSubstr("'score.weight' is unexpected"));
  testing::internal::GetCapturedStdout();
}

TEST_F(GptWeights, PositionsAreCutToAShorterContextAndThisIsLogged) {
  model_ = make("", language_input(8, 50));
  EXPECT_THAT(load(source_->state_dict()), HasSubstr("'transformer.wpe.weight' is cut from 16 to 8 positions"));
  const at::Tensor tokens = tokens_of(1, 8);
  EXPECT_TRUE(at::equal(logits_of(*model_, tokens), logits_of(*source_, tokens)));
}

TEST_F(GptWeights, PositionsOfAShorterContextThanTheModelsAreRefused) {
  model_ = make("", language_input(32, 50));
  EXPECT_THAT(
      error_of<RunError>([&] { load(source_->state_dict()); }),
      HasSubstr("'transformer.wpe.weight' is [16, 32], the model's is [32, 32]: it has positions for 16 tokens: "
                "set model.gpt.context to at most that"));
  testing::internal::GetCapturedStdout();
}

TEST_F(GptWeights, ResetHeadDrawsTheEmbeddingOfAnotherVocabulary) {
  const auto other = make("", language_input(16, 60));
  EXPECT_THAT(error_of<RunError>([&] { load_weights(*other, source_->state_dict(), false, "w.safetensors"); }),
              HasSubstr("give --model.reset_head true"));
  load_weights(*other, source_->state_dict(), /*reset_head=*/true, "w.safetensors");
  EXPECT_TRUE(at::equal(tensor_of(*other, "transformer.h.1.mlp.c_fc.weight"),
                        tensor_of(*source_, "transformer.h.1.mlp.c_fc.weight")));
}

}  // namespace
}  // namespace trainyard
