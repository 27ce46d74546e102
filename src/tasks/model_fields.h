/// What tasks hand to a model of a sample: its image or the columns of its table.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "datasets/field.h"
#include "loader_torch/device_loader.h"
#include "tasks/task.h"

namespace trainyard {

/// The field "image" or, of data without one, "numeric" and "categorical". Immutable.
class ModelFields {
 public:
  /// Throws UsageError that names `task` and what there is if the data have none of them, or of another shape or type.
  ModelFields(const TaskData& data, std::string_view task, at::Device device);

  /// Those that the data have, as the dataset declares them.
  const std::vector<Field>& fields() const { return fields_; }
  bool has_image() const { return normalize_.has_value(); }

  /// A batch of them as Model::forward() takes it: images normalized; numbers float32, categories int64, N × columns.
  /// Does not wait for the device.
  TensorDict prepare(const DeviceBatch& batch) const;

 private:
  std::vector<Field> fields_;
  std::optional<Normalize> normalize_;  ///< of an image
};

}  // namespace trainyard
