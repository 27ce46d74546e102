// Weights created in Python under the names of torchvision, timm and Hugging Face must load here and give the same
// scores. build/bin/parity-python has torchvision; without it, and for the others without timm and transformers,
// tests/parity/reference_nets.py is used instead. The test prints which one was used.

#include <gtest/gtest.h>

#include <ATen/core/grad_mode.h>

#include "models/model_inputs.h"
#include "parity/distances.h"
#include "support/configured.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "training/precision.h"

namespace trainyard {
namespace {

struct File {
  const char* name;
  std::string flags;
  ModelInput input;
};

std::vector<File> files() {
  const ModelInput pixels = segmentation_input({.channels = 3, .height = 40, .width = 56}, 7);
  const ModelInput tokens = language_input(32, 101);
  const std::string gpt = "--model.name gpt --model.gpt.layers 3 --model.gpt.heads 4 --model.gpt.width 64";
  const ModelInput image = image_input({.channels = 3, .height = 40, .width = 56}, 1000);
  const std::string vit = "--model.name vit_tiny --model.vit.patch_size 8";
  const ModelInput small = image_input({.channels = 3, .height = 40, .width = 56}, 7);
  return {{"efficientnet_b0", "--model.name efficientnet_b0", image},
          {"convnext_atto", "--model.name convnext_atto", image},
          {"timm_convnext_atto", "--model.name convnext_atto", image},
          {"vit_tiny_32", vit, small},
          {"vit_tiny_64", vit, small},
          {"fcn_resnet50", "--model.name fcn_resnet50 --model.fcn.aux true", pixels},
          {"deeplabv3_resnet50", "--model.name deeplabv3_resnet50 --model.deeplabv3.aux true", pixels},
          {"gpt_saved", gpt, tokens},
          {"gpt_published", gpt, tokens}};
}

TEST(Parity, PublishedWeightsGiveTheScoresTheyGiveInPython) {
  const TempDir dir;
  const Outcome python =
      run_program({parity_python(), TRAINYARD_SOURCE_DIR "/tests/parity/published_weights.py", dir.path()});
  ASSERT_EQ(python.exit_code, 0) << python.output;
  fmt::print("{}", python.output);

  set_float32_arithmetic(Precision::fp32);
  const at::NoGradGuard no_grad;
  for (const File& file : files()) {
    SCOPED_TRACE(file.name);
    NamedTensors weights;
    Tensors others;
    for (const auto& [name, tensor] : load(dir / (std::string(file.name) + ".safetensors"))) {
      const std::string prefix = "weights.";
      if (name.starts_with(prefix)) {
        weights.emplace_back(name.substr(prefix.size()), tensor);
      } else {
        others[name] = tensor;
      }
    }
    const auto model = make_model(configured(file.flags).model, file.input);
    load_weights(*model, weights, /*reset_head=*/false, file.name);
    move_to_device(*model, at::kFloat);
    model->eval();
    const at::Tensor input = others.at("input").to(device());
    others.erase("input");
    const TensorDict outputs = model->forward({{input.is_floating_point() ? "image" : "tokens", input}});
    EXPECT_EQ(outputs.size(), others.size());
    for (const auto& [name, expected] : others) {
      const double far = distance(exact(outputs.at(name)), exact(expected), 0);
      fmt::print("{:<18} {} {:.0e}\n", file.name, name, far);
      EXPECT_LE(far, 1e-5) << name;
    }
  }
}

}  // namespace
}  // namespace trainyard
