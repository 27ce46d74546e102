#include "models/convnext_names.h"

#include <gtest/gtest.h>

#include "models/model.h"

namespace trainyard {
namespace {

TEST(TorchvisionName, ConvertsTimmsNames) {
  for (const auto& [timm, torchvision] : std::vector<std::pair<std::string, std::string>>{
           {"stem.0.weight", "features.0.0.weight"},
           {"stem.1.bias", "features.0.1.bias"},
           {"stages.0.blocks.1.gamma", "features.1.1.layer_scale"},
           {"stages.0.blocks.0.conv_dw.weight", "features.1.0.block.0.weight"},
           {"stages.1.downsample.0.bias", "features.2.0.bias"},
           {"stages.3.downsample.1.weight", "features.6.1.weight"},
           {"stages.2.blocks.26.norm.weight", "features.5.26.block.2.weight"},
           {"stages.2.blocks.5.mlp.fc1.bias", "features.5.5.block.3.bias"},
           {"stages.3.blocks.2.mlp.fc2.weight", "features.7.2.block.5.weight"},
           {"head.norm.weight", "classifier.0.weight"},
           {"head.fc.bias", "classifier.2.bias"}}) {
    EXPECT_EQ(torchvision_name(timm), torchvision);
  }
}

TEST(TorchvisionName, LeavesOtherNamesAsTheyAre) {
  for (const std::string name :
       {"features.1.0.block.0.weight", "classifier.2.bias", "stem.2.weight", "stages.0.blocks.0.mlp.grn.weight",
        "stages.0.blocks.x.gamma", "stages..downsample.0.bias", "stages.0.blocks", "stages.12.blocks.0.gamma",
        "head.bias", "norm_pre.weight", ""}) {
    EXPECT_EQ(torchvision_name(name), name);
  }
}

TEST(TorchvisionName, LeavesEveryTensorOfTheModelAsItIs) {
  const auto model =
      make_model({.name = "convnext_small"}, image_input({.channels = 3, .height = 32, .width = 32}, 10));
  for (const auto& [name, tensor] : model->state_dict()) EXPECT_EQ(torchvision_name(name), name);
}

}  // namespace
}  // namespace trainyard
