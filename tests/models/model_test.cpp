#include "models/model.h"

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>

#include "support/small_model.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

constexpr ModelInput input{.channels = 1, .height = 28, .width = 28, .classes = 10};

TEST(MakeModel, UnknownNameListsTheKnownNearestFirst) {
  try {
    make_model(ModelConfig{.name = "resnet81"}, input);
    FAIL() << "nothing was thrown";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("'resnet81'"));
    EXPECT_THAT(error.what(), testing::ContainsRegex("nearest first: resnet18, "));
    EXPECT_THAT(error.what(), HasSubstr("convnet"));
  }
}

TEST(ConvNet, GivesOneScoreAClassForAnySize) {
  const auto model = make_model(ModelConfig{.name = "convnet"}, input);
  EXPECT_EQ(model->forward(at::randn({3, 1, 28, 28})).sizes(), (std::vector<std::int64_t>{3, 10}));
  EXPECT_EQ(model->forward(at::randn({2, 1, 32, 40})).sizes(), (std::vector<std::int64_t>{2, 10}));
}

TEST(ConvNet, TooSmallAnImageIsRefusedWithItsSize) {
  EXPECT_THROW(make_model(ModelConfig{.name = "convnet"}, {.channels = 1, .height = 3, .width = 28, .classes = 2}),
               UsageError);
}

TEST(LoadStateDict, TakesOverEveryTensor) {
  at::manual_seed(1);
  const auto source = make_model(ModelConfig{.name = "convnet"}, input);
  const auto target = make_model(ModelConfig{.name = "convnet"}, input);
  load_state_dict(*target, source->state_dict(), "test");
  const NamedTensors expected = source->state_dict();
  const NamedTensors actual = target->state_dict();
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(actual[i].first, expected[i].first);
    EXPECT_TRUE(at::equal(actual[i].second, expected[i].second)) << expected[i].first;
  }
}

TEST(LoadStateDict, ListsEveryMissingUnexpectedAndMisshapenTensorAndChangesNothing) {
  const auto model = make_model(ModelConfig{.name = "convnet"}, input);
  const at::Tensor before = model->parameters()[0].clone();
  NamedTensors state;
  for (const auto& [name, tensor] : model->state_dict()) {
    if (name == "bn1.weight") continue;
    state.emplace_back(name, name == "fc.bias" ? at::zeros({7}) : at::zeros_like(tensor));
  }
  state.emplace_back("head.weight", at::zeros({1}));
  try {
    load_state_dict(*model, state, "weights.safetensors");
    FAIL() << "nothing was thrown";
  } catch (const RunError& error) {
    EXPECT_THAT(error.what(), HasSubstr("weights.safetensors"));
    EXPECT_THAT(error.what(), HasSubstr("missing: bn1.weight"));
    EXPECT_THAT(error.what(), HasSubstr("unexpected: head.weight"));
    EXPECT_THAT(error.what(), HasSubstr("fc.bias has shape [7], the model's has [10]"));
  }
  EXPECT_TRUE(at::equal(model->parameters()[0], before));
}

class LoadWeights : public testing::Test {
 protected:
  // Weights of a net for other classes.
  NamedTensors state_ =
      make_model({.name = "convnet"}, {.channels = 1, .height = 28, .width = 28, .classes = 3})->state_dict();
  std::shared_ptr<Model> model_ = make_model({.name = "convnet"}, input);
};

TEST_F(LoadWeights, AHeadOfAnotherSizeIsRefusedAndTheWayOutNamed) {
  try {
    load_weights(*model_, state_, /*reset_head=*/false, "w.safetensors");
    FAIL() << "nothing was thrown";
  } catch (const RunError& error) {
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("fc.weight has shape [3, 128], the model's has [10, 128]"),
                                             HasSubstr("--model.reset_head")));
  }
}

TEST_F(LoadWeights, ResetHeadTakesAllButTheHead) {
  const at::Tensor head = tensor_of(*model_, "fc.weight").clone();
  load_weights(*model_, state_, /*reset_head=*/true, "w.safetensors");
  EXPECT_TRUE(at::equal(tensor_of(*model_, "fc.weight"), head));
  EXPECT_TRUE(at::equal(tensor_of(*model_, "conv1.weight"), state_[0].second));
}

TEST_F(LoadWeights, ResetHeadDoesNotHideWhatElseIsMissing) {
  std::erase_if(state_, [](const auto& entry) { return entry.first == "bn2.bias"; });
  state_.emplace_back("layer9.weight", at::zeros({1}));
  try {
    load_weights(*model_, state_, /*reset_head=*/true, "w.safetensors");
    FAIL() << "nothing was thrown";
  } catch (const RunError& error) {
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("missing: bn2.bias"), HasSubstr("unexpected: layer9.weight")));
  }
}

}  // namespace
}  // namespace trainyard
