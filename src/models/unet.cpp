// A small U-Net for segmentation (Ronneberger et al. 2015, "U-Net: Convolutional Networks for Biomedical Image
// Segmentation"), with padded convolutions and batch normalization. Level i processes the image halved i times, with
// width · 2^i channels:
//
//     image ─▶ down0 ──────── skip ────────▶ up0 ─▶ head ─▶ a score per class and pixel
//                └▶ down1 ─── skip ───▶ up1 ─┘
//                      └▶ down2 (bottom) ┘
//
// With patches of 2 × 2 pixels, the net processes an image of half the size with four times the channels, and its head
// returns the scores of four pixels at each position: on a CPU it learns more in the same time.

#include <ATen/ops/cat.h>
#include <ATen/ops/pixel_shuffle.h>
#include <ATen/ops/pixel_unshuffle.h>

#include "config/component.h"
#include "layers/conv_norm.h"
#include "layers/max_pool.h"
#include "layers/recompute.h"
#include "models/convolution.h"
#include "models/model_module.h"
#include "util/error.h"

namespace trainyard {
namespace {

struct UNetSettings {
  int width = 32;
  int depth = 4;
  int patch = 1;

  void declare(SettingTable& table) {
    table.add("width", width, "channels at full size, doubled whenever the image is halved", whole(1, 256),
              Resume::fixed);
    table.add("depth", depth, "how often the image is halved; its sides must be multiples of patch · 2^depth",
              whole(1, 8), Resume::fixed);
    table.add("patch", patch, "side of the square of pixels that the model treats as one; 2: four times as fast",
              whole(1, 8), Resume::fixed);
  }
};
const ComponentSettings<UNetSettings> settings{"model.unet", {"unet"}, __FILE__};

class DoubleConvImpl : public torch::nn::Module {
 public:
  DoubleConvImpl(std::int64_t in, std::int64_t out)
      : conv1(register_module("conv1", convolution(in, out))),
        bn1(register_module("bn1", BatchNorm(out))),
        conv2(register_module("conv2", convolution(out, out))),
        bn2(register_module("bn2", BatchNorm(out))) {}

  at::Tensor forward(const at::Tensor& x) { return conv_norm_relu(conv2, bn2, conv_norm_relu(conv1, bn1, x)); }

 private:
  torch::nn::Conv2d conv1;
  BatchNorm bn1;
  torch::nn::Conv2d conv2;
  BatchNorm bn2;
};
TORCH_MODULE(DoubleConv);

// Doubles the size of the features, halves their channels, and merges them with the skip connection.
class UpImpl : public torch::nn::Module {
 public:
  explicit UpImpl(std::int64_t out)
      : upsample(register_module(
            "upsample", torch::nn::ConvTranspose2d(torch::nn::ConvTranspose2dOptions(2 * out, out, 2).stride(2)))),
        conv(register_module("conv", DoubleConv(2 * out, out))) {}

  at::Tensor forward(const at::Tensor& x, const at::Tensor& skip) { return conv(at::cat({skip, upsample(x)}, 1)); }

 private:
  torch::nn::ConvTranspose2d upsample;
  DoubleConv conv;
};
TORCH_MODULE(Up);

class UNet : public ModelModule {
 public:
  UNet(std::int64_t width, int depth, std::int64_t patch, const ModelInput& input) : patch_(patch) {
    std::int64_t channels = input.image().channels * patch * patch;
    for (int level = 0; level <= depth; ++level) {
      down_.push_back(register_module(fmt::format("down{}", level), DoubleConv(channels, width << level)));
      channels = width << level;
    }
    for (int level = 0; level < depth; ++level) {
      up_.push_back(register_module(fmt::format("up{}", level), Up(width << level)));
    }
    head_ =
        register_module("head", torch::nn::Conv2d(torch::nn::Conv2dOptions(width, input.outputs * patch * patch, 1)));
  }

  TensorDict forward(const TensorDict& batch) override {
    at::Tensor x = batch.at("image");
    if (patch_ > 1) x = at::pixel_unshuffle(x, patch_);
    std::vector<at::Tensor> skips;
    for (std::size_t level = 0; level < up_.size(); ++level) {
      skips.push_back(go_down(level, x));
      x = max_pool(skips.back(), 2, 2);
    }
    x = go_down(up_.size(), x);
    for (std::size_t level = up_.size(); level-- > 0;) x = go_up(level, x, skips[level]);
    x = head_(x);
    return {{"logits", patch_ > 1 ? at::pixel_shuffle(x, patch_) : x}};
  }

  std::string head() const override { return "head"; }

  std::vector<Stage> stages() const override {
    std::vector<Stage> stages;
    const auto add = [&](const std::string& name) { stages.push_back({.name = name, .prefixes = {name}}); };
    for (std::size_t level = 0; level < down_.size(); ++level) add(fmt::format("down{}", level));
    for (std::size_t level = up_.size(); level-- > 0;) add(fmt::format("up{}", level));
    add("head");
    return stages;
  }

 private:
  at::Tensor go_down(std::size_t level, const at::Tensor& x) {
    DoubleConv& stage = down_[level];
    return recompute(*stage, {x}, [stage](const std::vector<at::Tensor>& inputs) mutable {
      return std::vector<at::Tensor>{stage(inputs[0])};
    })[0];
  }
  at::Tensor go_up(std::size_t level, const at::Tensor& x, const at::Tensor& skip) {
    Up& stage = up_[level];
    return recompute(*stage, {x, skip}, [stage](const std::vector<at::Tensor>& inputs) mutable {
      return std::vector<at::Tensor>{stage(inputs[0], inputs[1])};
    })[0];
  }

  std::int64_t patch_;
  std::vector<DoubleConv> down_;
  std::vector<Up> up_;
  torch::nn::Conv2d head_{nullptr};
};

std::shared_ptr<Model> make_unet(const ModelConfig& config, const ModelInput& input) {
  const UNetSettings& chosen = settings.in(config);
  const ImageShape image = input.image();
  const std::int64_t multiple = std::int64_t{chosen.patch} << chosen.depth;
  if (image.height % multiple != 0 || image.width % multiple != 0) {
    throw UsageError("model.unet.depth",
                     "{} with patches of {} needs images whose sides are multiples of {}, not {}×{}: choose smaller "
                     "ones, or crop or resize the images",
                     chosen.depth, chosen.patch, multiple, image.height, image.width);
  }
  return std::make_shared<UNet>(chosen.width, chosen.depth, chosen.patch, input);
}

const ModelRegistry::Registration registered{
    "unet", "U-Net for segmentation; with model.unet.width = 16 and patch = 2 it trains on a CPU", make_unet, __FILE__};

}  // namespace
}  // namespace trainyard
