#include "models/resnet_layers.h"

#include <gtest/gtest.h>

#include <ATen/Context.h>
#include <ATen/ops/randn.h>

#include "support/expect_close.h"

namespace trainyard {
namespace {

struct Net : torch::nn::Module {
  explicit Net(const ResNetShape& shape) : layers(*this, shape, 3) {}
  ResNetLayers layers;
};

class DilatedResNet : public testing::TestWithParam<ResNetShape> {};

// With dilation, the same weights apply to the same pixels, at more positions.
TEST_P(DilatedResNet, SubsampledFeaturesMatchTheStridedNet) {
  at::manual_seed(1);
  ResNetShape shape = GetParam();
  Net strided(shape);
  at::manual_seed(1);
  shape.dilated = true;
  Net dilated(shape);
  const at::NoGradGuard no_grad;
  strided.eval();
  dilated.eval();
  const at::Tensor images = at::randn({2, 3, 64, 96});
  const ResNetFeatures expected = strided.layers.forward(images);
  const ResNetFeatures features = dilated.layers.forward(images);
  EXPECT_EQ(features.layer3.sizes(), (std::vector<std::int64_t>{2, dilated.layers.layer3_channels(), 8, 12}));
  EXPECT_EQ(features.layer4.sizes(), (std::vector<std::int64_t>{2, dilated.layers.layer4_channels(), 8, 12}));
  const auto every = [](const at::Tensor& x, std::int64_t step) {
    return x.slice(2, 0, x.size(2), step).slice(3, 0, x.size(3), step);
  };
  expect_close(every(features.layer3, 2), expected.layer3, 1e-5, "layer3");
  expect_close(every(features.layer4, 4), expected.layer4, 1e-5, "layer4");
}

INSTANTIATE_TEST_SUITE_P(ResNetLayers, DilatedResNet, testing::Values(resnet18_shape, resnet50_shape),
                         [](const auto& instance) { return instance.param.bottleneck ? "bottleneck" : "basic"; });

}  // namespace
}  // namespace trainyard
