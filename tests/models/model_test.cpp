#include "models/model.h"

#include <cmath>

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros_like.h>

#include "support/error_of.h"
#include "support/small_model.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

const ModelInput input = image_input({.channels = 1, .height = 28, .width = 28}, 10);

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

TEST(ZeroBatch, HasImagesOfEitherTypeAsTasksPrepareThem) {
  for (const DType dtype : {DType::uint8, DType::float32}) {
    const ModelInput images{
        .fields = {{.name = "image", .dtype = dtype, .shape = {20, 24, 3}}}, .outputs = 2, .logits = {2}};
    const at::Tensor image = zero_batch(images, 4, at::kCPU).at("image");
    EXPECT_EQ(image.sizes(), (std::vector<std::int64_t>{4, 3, 20, 24}));
    EXPECT_EQ(image.scalar_type(), at::kFloat);
    const auto model = make_model(ModelConfig{.name = "convnet"}, images);
    EXPECT_EQ(model->forward({{"image", image}}).at("logits").sizes(), (std::vector<std::int64_t>{4, 2}));
    EXPECT_GT(multiply_adds(*model, images), 0);
  }
}

TEST(ConvNet, GivesOneScoreAClassForAnySize) {
  const auto model = make_model(ModelConfig{.name = "convnet"}, input);
  EXPECT_EQ(model->forward({{"image", at::randn({3, 1, 28, 28})}}).at("logits").sizes(),
            (std::vector<std::int64_t>{3, 10}));
  EXPECT_EQ(model->forward({{"image", at::randn({2, 1, 32, 40})}}).at("logits").sizes(),
            (std::vector<std::int64_t>{2, 10}));
}

TEST(ConvNet, TooSmallAnImageIsRefusedWithItsSize) {
  EXPECT_THROW(make_model(ModelConfig{.name = "convnet"}, image_input({.channels = 1, .height = 3, .width = 28}, 2)),
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

TEST(LoadStateDict, NamesEveryTensorThatDoesNotFitAndChangesNothing) {
  const auto model = make_model(ModelConfig{.name = "convnet"}, input);
  const at::Tensor before = model->parameters()[0].clone();
  NamedTensors state;
  for (const auto& [name, tensor] : model->state_dict()) {
    if (name == "bn1.weight") continue;
    state.emplace_back(name, name == "fc.bias"        ? at::zeros({7})
                             : name == "fc.weight"    ? at::full_like(tensor, std::nan(""))
                             : name == "conv2.weight" ? at::zeros_like(tensor, at::kHalf)
                                                      : at::zeros_like(tensor));
  }
  state.emplace_back("bn_1.weight", at::zeros({1}));
  const std::string message = error_of<RunError>([&] { load_state_dict(*model, state, "w.safetensors"); });
  EXPECT_THAT(message, HasSubstr("[checkpoint] w.safetensors: "));
  EXPECT_THAT(message, testing::ContainsRegex("[0-9]+ of the model's [0-9]+ tensors fit"));
  EXPECT_THAT(message, HasSubstr("tensor 'bn1.weight' is missing"));
  EXPECT_THAT(message, HasSubstr("tensor 'bn_1.weight' is unexpected; missing is 'bn1.weight'"));
  EXPECT_THAT(message, HasSubstr("tensor 'fc.bias' is [7], the model's is [10]"));
  EXPECT_THAT(message, HasSubstr("tensor 'fc.weight' holds NaN"));
  EXPECT_THAT(message, HasSubstr("tensor 'conv2.weight' is of type Half, the model's is of type Float"));
  EXPECT_TRUE(at::equal(model->parameters()[0], before));
}

TEST(LoadStateDict, MegabytesOfHostileNamesGiveAShortError) {
  const auto model = make_model(ModelConfig{.name = "convnet"}, input);
  NamedTensors state;
  for (int i = 0; i < 1000; ++i)
    state.emplace_back(std::string(10'000, 'x') + "\x1b[31m" + std::to_string(i), at::zeros({1}));
  const std::string message = error_of<RunError>([&] { load_state_dict(*model, state, "w.safetensors"); });
  EXPECT_LT(message.size(), 4096u);
  EXPECT_THAT(message, testing::AllOf(HasSubstr("and 995 more that are unexpected"), testing::Not(HasSubstr("\x1b"))));
}

class LoadWeights : public testing::Test {
 protected:
  std::string refusal(bool reset_head = false) {
    return error_of<RunError>([&] { load_weights(*model_, state_, reset_head, "w.safetensors"); });
  }
  void prepend(const std::string& prefix) {
    for (auto& [name, tensor] : state_) name.insert(0, prefix);
  }

  // Weights of a net with another number of classes.
  NamedTensors state_ =
      make_model({.name = "convnet"}, image_input({.channels = 1, .height = 28, .width = 28}, 3))->state_dict();
  std::shared_ptr<Model> model_ = make_model({.name = "convnet"}, input);
};

TEST_F(LoadWeights, HeadOfOtherClassesIsRefusedWithTheRemedy) {
  EXPECT_THAT(refusal(), testing::AllOf(HasSubstr("[model.weights] w.safetensors: its head 'fc' is for 3 classes, the "
                                                  "data have 10: give --model.reset_head true"),
                                        HasSubstr("tensor 'fc.weight' is [3, 128], the model's is [10, 128]")));
}

TEST_F(LoadWeights, MissingHeadIsRefusedWithTheRemedy) {
  std::erase_if(state_, [](const auto& entry) { return entry.first.starts_with("fc."); });
  EXPECT_THAT(refusal(), HasSubstr("it has no fc.weight: give --model.reset_head true"));
  load_weights(*model_, state_, /*reset_head=*/true, "w.safetensors");
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
  const std::string message = refusal(/*reset_head=*/true);
  EXPECT_THAT(message, testing::AllOf(HasSubstr("'bn2.bias' is missing"), HasSubstr("'layer9.weight' is unexpected")));
  EXPECT_THAT(message, testing::Not(HasSubstr("reset_head")));
}

TEST_F(LoadWeights, HeadIsNoRemedyIfTheRestDoesNotFitEither) {
  std::erase_if(state_, [](const auto& entry) { return entry.first == "bn2.bias"; });
  EXPECT_THAT(refusal(), testing::AllOf(HasSubstr("'fc.weight' is [3, 128]"), HasSubstr("'bn2.bias' is missing"),
                                        testing::Not(HasSubstr("reset_head"))));
}

TEST_F(LoadWeights, PrefixOfAllNamesIsLeftOut) {
  for (const char* prefix : {"module.", "_orig_mod.", "model.", "net.", "module._orig_mod.", "model._orig_mod.module.",
                             "student.encoder."}) {
    const auto source = make_model({.name = "convnet"}, input);
    state_ = source->state_dict();
    prepend(prefix);
    testing::internal::CaptureStdout();  // of the log
    load_weights(*model_, state_, /*reset_head=*/false, "w.safetensors");
    EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr(prefix));
    EXPECT_TRUE(at::equal(tensor_of(*model_, "fc.weight"), tensor_of(*source, "fc.weight"))) << prefix;
  }
}

TEST_F(LoadWeights, PrefixIsLeftOutBeforeTheHeadIsJudged) {
  prepend("module.");
  EXPECT_THAT(refusal(), testing::AllOf(HasSubstr("without the prefix 'module.'"), HasSubstr("is for 3 classes")));
  load_weights(*model_, state_, /*reset_head=*/true, "w.safetensors");
}

TEST_F(LoadWeights, PrefixOfSomeNamesIsAnError) {
  state_.front().first.insert(0, "module.");
  EXPECT_THAT(refusal(/*reset_head=*/true),
              testing::AllOf(HasSubstr("'module.conv1.weight' is unexpected"), HasSubstr("'conv1.weight' is missing")));
}

TEST_F(LoadWeights, OtherFloatingPointTypesAreConverted) {
  state_ = make_model({.name = "convnet"}, input)->state_dict();
  for (auto& [name, tensor] : state_) {
    if (tensor.is_floating_point()) tensor = tensor.to(at::kBFloat16);
  }
  load_weights(*model_, state_, /*reset_head=*/false, "w.safetensors");
  EXPECT_TRUE(at::equal(tensor_of(*model_, "conv1.weight"), state_[0].second.to(at::kFloat)));
  state_[0].second = state_[0].second.to(at::kLong);
  EXPECT_THAT(refusal(), HasSubstr("'conv1.weight' is of type Long, the model's is of type Float"));
}

}  // namespace
}  // namespace trainyard
