#include "models/freeze.h"

#include <algorithm>

#include <gmock/gmock.h>

#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/record_function.h>

#include "optim/ema.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/image_task.h"
#include "support/small_model.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// The convnet in training mode, frozen as `flags` specify.
std::shared_ptr<Model> frozen_model(const std::string& flags) {
  at::manual_seed(1);
  const auto model = small_model();
  freeze(*model, configured(flags).model);
  return model;
}

std::vector<std::string> frozen_names(const Model& model) {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : model.named_parameters()) {
    if (!parameter.requires_grad()) names.push_back(name);
  }
  return names;
}

std::string refusal(const std::string& flags) {
  return error_of<UsageError>([&] { frozen_model(flags); });
}

TEST(Freeze, TakesStagesModulesAndParameters) {
  EXPECT_THAT(frozen_names(*frozen_model("--model.freeze conv1")),
              ElementsAre("conv1.weight", "bn1.weight", "bn1.bias"));
  EXPECT_THAT(frozen_names(*frozen_model("--model.freeze bn2 --model.freeze conv3.weight")),
              ElementsAre("bn2.weight", "bn2.bias", "conv3.weight"));
}

TEST(Freeze, TakesANumberOfStagesFromTheFront) {
  EXPECT_EQ(describe_frozen(*frozen_model("--model.freeze_stages 2")),
            "2 of 5 stages (conv1, conv2), 14216 of 181842 parameters");
  EXPECT_EQ(describe_frozen(*frozen_model("--model.freeze bn2")), "0 of 5 stages, 128 of 181842 parameters");
  EXPECT_EQ(describe_frozen(*small_model()), "");
}

TEST(Freeze, NameThatIsNoneIsRefusedWithTheNearest) {
  EXPECT_THAT(refusal("--model.freeze conv.1"),
              AllOf(HasSubstr("[model.freeze] 'conv.1' is not a stage"),
                    HasSubstr("nearest: conv1. The stages: conv1, conv2, conv3, conv4, head")));
  EXPECT_THAT(refusal("--model.freeze conv3.weigth"), HasSubstr("nearest: conv3.weight."));
}

TEST(Freeze, SomethingIsLeftToTrain) {
  EXPECT_THAT(refusal("--model.freeze_stages 5"), HasSubstr("[model.freeze_stages] is 5, but the model has 5 stages"));
  EXPECT_THAT(refusal("--model.freeze_stages 4 --model.freeze head"),
              HasSubstr("all 181842 parameters of the model are frozen"));
}

TEST(Freeze, WhollyFrozenModulesStayInEvaluationMode) {
  const auto model = frozen_model("--model.freeze conv1 --model.freeze bn2.weight");
  const TensorDict batch = {{"image", at::randn({4, 1, 28, 28})}};
  for (int i = 0; i < 2; ++i) {
    model->eval();
    model->train();
    model->forward(batch);
  }
  EXPECT_EQ(tensor_of(*model, "bn1.num_batches_tracked").item<int>(), 0);
  EXPECT_TRUE(at::equal(tensor_of(*model, "bn1.running_mean"), at::zeros({24})));
  EXPECT_EQ(tensor_of(*model, "bn2.num_batches_tracked").item<int>(), 2) << "its bias is trained";
}

// Training steps that use everything that can change weights.
class FrozenTraining : public testing::TestWithParam<const char*> {};

TEST_P(FrozenTraining, LeavesWeightsStatisticsAndAveragesBitForBit) {
  const auto model = frozen_model("--model.freeze_stages 2 --model.freeze fc.bias");
  const auto average = small_model();
  const NamedTensors begin = [&] {
    NamedTensors copies;
    for (const auto& [name, tensor] : model->state_dict()) copies.emplace_back(name, tensor.detach().clone());
    return copies;
  }();
  const auto optimizer = make_optimizer({.name = GetParam(), .lr = 0.01, .weight_decay = 0.1}, *model);
  Ema ema(*model, *average, 0.9);
  const auto task = image_task({.channels = 1, .height = 28, .width = 28});
  const TrainConfig config{.precision = Precision::bf16, .clip_grad_norm = 1, .on_nonfinite = OnNonfinite::skip};
  TaskStep with(*model, *optimizer, *task, config);
  for (int i = 1; i <= 3; ++i) {
    with.step({{"image", at::randn({8, 1, 28, 28})}, {"label", at::randint(0, 10, {8}, at::kLong)}}, 0.01);
    ema.update(i);
  }
  const auto is_frozen = [](const std::string& name) {
    return name == "fc.bias" || name.starts_with("conv1.") || name.starts_with("bn1.") || name.starts_with("conv2.") ||
           name.starts_with("bn2.");
  };
  for (const auto& [name, before] : begin) {
    EXPECT_EQ(at::equal(tensor_of(*model, name), before), is_frozen(name)) << name;
    EXPECT_EQ(at::equal(tensor_of(*average, name), before), is_frozen(name)) << name;
  }
  for (const auto& [name, parameter] : model->named_parameters()) {
    EXPECT_EQ(parameter.grad().defined(), !is_frozen(name)) << name;
  }
  for (const auto& [name, tensor] : optimizer->state())
    EXPECT_FALSE(is_frozen(name.substr(name.find('.') + 1))) << name;
}

INSTANTIATE_TEST_SUITE_P(Optimizers, FrozenTraining, testing::Values("sgd", "adamw", "lion"),
                         [](const auto& instance) { return std::string(instance.param); });

std::atomic<int> convolutions;

TEST(Freeze, BackwardPassEndsBeforeTheFirstParameterThatIsTrained) {
  const auto handle = at::addGlobalCallback(
      at::RecordFunctionCallback([](const at::RecordFunction& call) -> std::unique_ptr<at::ObserverContext> {
        if (std::string_view(call.name()) == "aten::convolution_backward") ++convolutions;
        return nullptr;
      }).scopes({at::RecordScope::FUNCTION}));
  for (const int stages : {0, 3}) {
    const auto model = frozen_model(fmt::format("--model.freeze_stages {}", stages));
    convolutions = 0;
    model->forward({{"image", at::randn({4, 1, 28, 28})}}).at("logits").sum().backward();
    EXPECT_EQ(convolutions, 4 - stages);
  }
  at::removeCallback(handle);
}

}  // namespace
}  // namespace trainyard
