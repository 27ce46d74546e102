#include "tasks/model_fields.h"

#include "util/error.h"

namespace trainyard {

ModelFields::ModelFields(const TaskData& data, std::string_view task, at::Device device) {
  if (find_field(data.fields, "image") != nullptr) {
    fields_ = {required_image(data, task)};
    normalize_ = normalize_of(data, device);
    return;
  }
  for (const auto& [name, dtype] : {std::pair{"numeric", DType::float32}, std::pair{"categorical", DType::int64}}) {
    const Field* const field = find_field(data.fields, name);
    if (field == nullptr) continue;
    const bool fits = field->dtype == dtype && field->shape.size() == 1 && !field->varies &&
                      (dtype == DType::float32 || field->values);
    if (!fits) {
      throw UsageError(
          "task.name",
          "{} needs tables with columns of float32 in 'numeric' and of int64 with a range in 'categorical'; "
          "the data have {}",
          task, describe(data.fields));
    }
    fields_.push_back(*field);
  }
  if (!fields_.empty()) return;
  throw UsageError("task.name",
                   "{} needs samples with a field 'image', or 'numeric' or 'categorical' of a table; the data have {}: "
                   "choose another data.name or task.name",
                   task, describe(data.fields));
}

TensorDict ModelFields::prepare(const DeviceBatch& batch) const {
  TensorDict prepared;
  for (const Field& field : fields_) {
    const DeviceField& raw = batch.field(field.name);
    prepared.set(field.name, normalize_ ? (*normalize_)(raw.data, raw.selection) : raw.tensor());
  }
  return prepared;
}

}  // namespace trainyard
