/// Prepares the fields of a sample that a task passes to its model: an image or the columns of a table.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "datasets/field.h"
#include "loader_torch/device_loader.h"
#include "tasks/task.h"

namespace trainyard {

/// The field "image" or, if the data have none, "numeric" and "categorical". Immutable.
class ModelFields {
 public:
  /// Throws UsageError that names `task` and the data's fields if the data have none of these fields, or if one has an
  /// unsupported shape or type.
  ModelFields(const TaskData& data, std::string_view task, at::Device device);

  /// The fields that the data have, as the dataset declares them.
  const std::vector<Field>& fields() const { return fields_; }
  bool has_image() const { return normalize_.has_value(); }

  /// Returns the fields of a batch as Model::forward() takes them: normalized images; or numeric columns as float32 and
  /// categorical columns as int64, each N × columns. Does not wait for the device.
  TensorDict prepare(const DeviceBatch& batch) const;

 private:
  std::vector<Field> fields_;
  std::optional<Normalize> normalize_;  ///< set if the data have images
};

}  // namespace trainyard
