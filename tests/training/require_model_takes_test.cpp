#include "training/require_model_takes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/configured.h"
#include "support/error_of.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

TaskData data_of(const Field& image) {
  return {.fields = {image, {.name = "label", .dtype = DType::int64, .values = {{.count = 2}}}},
          .class_names = {"a", "b"}};
}

// The error for a model made for images of 16×16×3; empty: none.
std::string error_for(const std::string& flags, const Field& image) {
  const Config config = configured(flags);
  const TaskData trained = data_of({.name = "image", .shape = {16, 16, 3}});
  const auto model = make_model(config.model, make_task(config.task, trained, at::kCPU)->model_input());
  try {
    require_model_takes(*model, config, trained, data_of(image).fields, "samples of val");
    return "";
  } catch (const UsageError& error) {
    return error.what();
  }
}

TEST(RequireModelTakes, AcceptsImagesOfAnotherSizeThatTheModelTakes) {
  EXPECT_EQ(error_for("--model.name convnet", {.name = "image", .shape = {16, 16, 3}}), "");
  EXPECT_EQ(error_for("--model.name resnet18 --model.resnet.stem small", {.name = "image", .shape = {24, 40, 3}}), "");
}

TEST(RequireModelTakes, RefusesASizeThatTheModelDoesNotTake) {
  const std::string error =
      error_for("--model.name vit_tiny --model.vit.patch_size 8", {.name = "image", .shape = {24, 24, 3}});
  EXPECT_THAT(error, HasSubstr("[data.name] samples of val have image (uint8, 24 x 24 x 3)"));
  EXPECT_THAT(error, HasSubstr("made for image (uint8, 16 x 16 x 3)"));
  EXPECT_THAT(error, HasSubstr("Crop or resize images to one size with transform.train and transform.test"));
}

TEST(RequireModelTakes, RefusesOtherFieldsTypesAndChannels) {
  const std::string convnet = "--model.name convnet";
  EXPECT_THAT(error_for(convnet, {.name = "picture", .shape = {16, 16, 3}}), HasSubstr("made for image"));
  EXPECT_THAT(error_for(convnet, {.name = "image", .shape = {16, 16, 1}}), HasSubstr("made for image"));
  EXPECT_THAT(error_for(convnet, {.name = "image", .shape = {16, 16}}), HasSubstr("made for image"));
  EXPECT_THAT(error_for(convnet, {.name = "image", .dtype = DType::float32, .shape = {16, 16, 3}}),
              HasSubstr("made for image"));
}

}  // namespace
}  // namespace trainyard
