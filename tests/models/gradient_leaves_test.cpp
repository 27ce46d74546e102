#include "models/gradient_leaves.h"

#include <gmock/gmock.h>

#include "support/small_model.h"

namespace trainyard {
namespace {

using testing::IsEmpty;

const TensorDict batch = {{"image", at::zeros({2, 1, 28, 28})}};

TEST(GradientLeaves, AreTheParametersThatAResultDependsOn) {
  const auto model = small_model();
  const at::Tensor logits = model->forward(batch).at("logits");
  EXPECT_EQ(gradient_leaves(logits).size(), model->parameters().size());
  EXPECT_THAT(gradient_leaves(logits.detach()), IsEmpty());
}

TEST(GradientLeaves, ParameterThatIsTheResultIsItsOwnLeaf) {
  const auto model = small_model();
  EXPECT_EQ(gradient_leaves(model->parameters().front()).size(), 1u);
}

}  // namespace
}  // namespace trainyard
