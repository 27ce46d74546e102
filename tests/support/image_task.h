/// Builds image classification tasks for tests of training.
#pragma once

#include <memory>
#include <string>

#include <fmt/format.h>

#include "support/configured.h"
#include "tasks/task.h"
#include "training/train_step.h"

namespace trainyard {

/// Describes a dataset of images and labels of `classes` classes.
inline TaskData image_data(const ImageShape& image, int classes) {
  TaskData data;
  data.fields = {{.name = "image", .shape = {image.height, image.width, image.channels}},
                 {.name = "label", .dtype = DType::int64, .values = ValueRange{.count = classes}}};
  for (int i = 0; i < classes; ++i) data.class_names.push_back(fmt::format("class {}", i));
  return data;
}

/// The task with 10 classes, configured by `flags`, e.g. "--task.classification.mixup 0.4".
inline std::unique_ptr<Task> image_task(const ImageShape& image, const std::string& flags = "",
                                        at::Device device = at::kCPU) {
  return make_task(configured(flags).task, image_data(image, 10), device);
}

/// A training step with the task's metrics.
struct TaskStep {
  TaskStep(Model& model, Optimizer& optimizer, const Task& task, const TrainConfig& config)
      : metrics(task.metrics(Phase::train)), step(model, optimizer, task, metrics, config, alone) {}
  ProcessGroup alone;
  MetricSet metrics;
  TrainStep step;
};

}  // namespace trainyard
