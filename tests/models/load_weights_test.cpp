#include <gmock/gmock.h>

#include "models/layers.h"
#include "models/model_module.h"
#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

/// Its last layer is not called as head() says.
struct Misnamed : ModelModule {
  Misnamed() : last(register_module("last", torch::nn::Linear(2, 3))) {}
  TensorDict forward(const TensorDict& batch) override { return {{"logits", last(batch.at("numeric"))}}; }
  torch::nn::Linear last;
};

TEST(ResetHead, IsRefusedIfTheModelHasNoModuleOfThatName) {
  Misnamed model;
  const NamedTensors state = Misnamed().state_dict();
  load_weights(model, state, /*reset_head=*/false, "w.safetensors");
  EXPECT_THAT(error_of<UsageError>([&] { load_weights(model, state, /*reset_head=*/true, "w.safetensors"); }),
              testing::HasSubstr("[model.reset_head] the model has no parameters in 'fc'"));
}

}  // namespace
}  // namespace trainyard
