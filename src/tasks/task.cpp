#include "tasks/task.h"

#include "tasks/findings.h"
#include "util/error.h"

namespace trainyard {

TaskData task_data(const SplitInfo& train) {
  return {.fields = train.fields,
          .class_names = train.class_names,
          .channel_mean = train.channel_mean,
          .channel_std = train.channel_std,
          .class_counts = train.class_counts,
          .samples = train.size};
}

std::unique_ptr<Task> make_task(const TaskConfig& config, const TaskData& data, at::Device device) {
  return TaskRegistry::make(config.name, config, data, device);
}

std::vector<Prediction> Task::predict(const TensorDict& /*outputs*/, const PredictOptions& /*options*/) const {
  throw UsageError("predict", "this task has no predictions: override predict() in its file, or use trainyard eval");
}

Prediction Task::answer(Model& /*model*/, const std::string& /*prompt*/, const PredictOptions& /*options*/) const {
  throw UsageError("predict", "this task answers prompts, but does not say how: override answer() in its file");
}

const Field& required_field(const TaskData& data, std::string_view task, std::string_view name) {
  if (const Field* const field = find_field(data.fields, name)) return *field;
  throw UsageError("task.name",
                   "{} needs samples with a field '{}'; the data have {}: choose another data.name or "
                   "task.name",
                   task, name, describe(data.fields));
}

const Field& required_image(const TaskData& data, std::string_view task) {
  const Field& image = required_field(data, task, "image");
  if (image.has_pixels()) return image;
  throw UsageError("task.name", "{} needs images of height x width x channels, uint8 or float32; the data have {}",
                   task, describe(data.fields));
}

Normalize normalize_of(const TaskData& data, at::Device device) {
  if (!data.channel_mean.empty()) return {data.channel_mean, data.channel_std, device};
  const auto channels = static_cast<std::size_t>(find_field(data.fields, "image")->shape.at(2));
  return {std::vector<float>(channels, 0.5F), std::vector<float>(channels, 0.5F), device};
}

}  // namespace trainyard
