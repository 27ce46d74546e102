// Says what an image shows, with a checkpoint's model and preprocessing and without the trainer:
//   classify CHECKPOINT IMAGE      CHECKPOINT: a run's folder or one of its checkpoints

#include <iostream>

#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>

#include "checkpoint/checkpoint_folder.h"
#include "datasets/read_file.h"
#include "datasets/stored_images.h"
#include "images/decode_image.h"
#include "images/resample.h"
#include "tasks/findings.h"
#include "training/trained_model.h"
#include "transforms/pipeline.h"
#include "util/error.h"

namespace {

// The image as the model's test split had it: decoded, transformed, height × width × channels.
trainyard::Image read_image(const trainyard::TrainedModel& trained, const std::string& path) {
  const trainyard::Field& field = *trainyard::find_field(trained.manifest.fields, "image");
  const auto channels = static_cast<std::size_t>(field.shape[2]);
  trainyard::Scratch file;
  const trainyard::Image decoded = trainyard::decode_image(trainyard::read_whole_file(path, file), channels, path,
                                                           trainyard::image_options(trained.config.data));
  const trainyard::TransformPipeline pipeline(trained.config.transform.test, {field});
  const trainyard::Image image = pipeline.apply(decoded, 0, 0, 0);
  const trainyard::ImageSize wanted = trainyard::image_size(field);
  return trainyard::ImageSize{image.height, image.width} == wanted ? image : trainyard::resize(image, wanted);
}

void classify(const std::string& checkpoint, const std::string& path) {
  const trainyard::TrainedModel trained =
      trainyard::load_trained_model(trainyard::resolve_checkpoint(checkpoint), at::kCPU);
  trainyard::Image image = read_image(trained, path);
  const auto size = [](std::size_t extent) { return static_cast<std::int64_t>(extent); };
  const at::Tensor pixels =
      at::from_blob(image.pixels.data(), {1, size(image.height), size(image.width), size(image.channels)}, at::kByte);
  const trainyard::DeviceBatch batch{.fields = {{.name = "image", .data = pixels}}, .number = 0, .count = 1};
  const c10::InferenceMode inference;
  const trainyard::TensorDict outputs = trained.model->forward(trained.task->prepare(batch));
  for (const trainyard::Prediction& prediction : trained.task->predict(outputs, {})) std::cout << prediction.text;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) throw trainyard::UsageError("classify", "usage: classify CHECKPOINT IMAGE");
  classify(argv[1], argv[2]);
} catch (const trainyard::Error& error) {
  std::cerr << error.what() << "\n";
  return static_cast<int>(error.code());
}
