#include <gmock/gmock.h>

#include <ATen/ops/randn.h>

#include "models/model_inputs.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsSupersetOf;

std::shared_ptr<Model> make(const std::string& flags, const ModelInput& input) {
  return make_model(configured("--model.name unet " + flags).model, input);
}

TEST(UNet, ReturnsAScorePerClassAndPixelForAnySizeItCanHalve) {
  const auto model = make("--model.unet.width 4", segmentation_input({.channels = 3, .height = 96, .width = 96}, 11));
  for (const auto& [height, width] : {std::pair<std::int64_t, std::int64_t>{96, 96}, {16, 48}, {64, 32}}) {
    const at::Tensor logits = model->forward({{"image", at::randn({2, 3, height, width})}}).at("logits");
    EXPECT_EQ(logits.sizes(), (std::vector<std::int64_t>{2, 11, height, width}));
  }
}

TEST(UNet, WithPatchesKeepsTheImagesSize) {
  const auto model = make("--model.unet.width 4 --model.unet.depth 2 --model.unet.patch 3",
                          segmentation_input({.channels = 3, .height = 24, .width = 36}, 5));
  EXPECT_EQ(model->forward({{"image", at::randn({2, 3, 24, 36})}}).at("logits").sizes(),
            (std::vector<std::int64_t>{2, 5, 24, 36}));
}

TEST(UNet, HasWidthTimesTwoToTheLevelChannels) {
  const auto model = make("--model.unet.width 6 --model.unet.depth 2",
                          segmentation_input({.channels = 1, .height = 8, .width = 8}, 3));
  std::vector<std::string> shapes;
  for (const auto& [name, tensor] : model->named_parameters()) {
    if (tensor.dim() == 4) shapes.push_back(fmt::format("{} {}", name, fmt::join(tensor.sizes(), "x")));
  }
  EXPECT_EQ(shapes, (std::vector<std::string>{
                        "down0.conv1.weight 6x1x3x3", "down0.conv2.weight 6x6x3x3", "down1.conv1.weight 12x6x3x3",
                        "down1.conv2.weight 12x12x3x3", "down2.conv1.weight 24x12x3x3", "down2.conv2.weight 24x24x3x3",
                        "up0.upsample.weight 12x6x2x2", "up0.conv.conv1.weight 6x12x3x3",
                        "up0.conv.conv2.weight 6x6x3x3", "up1.upsample.weight 24x12x2x2",
                        "up1.conv.conv1.weight 12x24x3x3", "up1.conv.conv2.weight 12x12x3x3", "head.weight 3x6x1x1"}));
}

TEST(UNet, RefusesImagesWhoseSidesItCannotHalve) {
  const ImageShape image{.channels = 1, .height = 32, .width = 28};
  EXPECT_THAT(error_of<UsageError>([&] { make("", segmentation_input(image, 3)); }),
              AllOf(HasSubstr("[model.unet.depth] 4"), HasSubstr("multiples of 16, not 32×28")));
  EXPECT_NO_THROW(make("--model.unet.depth 2", segmentation_input(image, 3)));
  EXPECT_THAT(
      error_of<UsageError>([&] { make("--model.unet.depth 2 --model.unet.patch 2", segmentation_input(image, 3)); }),
      HasSubstr("2 with patches of 2 needs images whose sides are multiples of 8"));
}

TEST(UNet, RefusesSamplesWithoutAnImage) {
  EXPECT_THAT(error_of<UsageError>([&] { make("", language_input(16, 50)); }), HasSubstr("'image'"));
}

TEST(UNet, CountsMultiplyAddsOfTransposedConvolutionsByTheirInputs) {
  const ModelInput input = segmentation_input({.channels = 1, .height = 8, .width = 8}, 3);
  const auto model = make("--model.unet.width 4 --model.unet.depth 1", input);
  const std::int64_t down0 = 64 * 9 * (1 * 4 + 4 * 4);
  const std::int64_t down1 = 16 * 9 * (4 * 8 + 8 * 8);
  const std::int64_t up0 = 16 * 8 * 4 * 4 + 64 * 9 * (8 * 4 + 4 * 4);
  EXPECT_EQ(multiply_adds(*model, input), down0 + down1 + up0 + 64 * 4 * 3);
}

}  // namespace
}  // namespace trainyard
