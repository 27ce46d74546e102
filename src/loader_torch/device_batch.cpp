#include "loader_torch/device_batch.h"

#include <algorithm>

#include "util/error.h"

namespace trainyard {

at::Tensor DeviceField::tensor() const { return selected(data, selection); }

const DeviceField* DeviceBatch::find(std::string_view name) const {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const DeviceField& f) { return f.name == name; });
  return found == fields.end() ? nullptr : &*found;
}

const DeviceField& DeviceBatch::field(std::string_view name) const {
  if (const DeviceField* const found = find(name)) return *found;
  std::string names;
  for (const DeviceField& one : fields) names += (names.empty() ? "" : ", ") + one.name;
  throw RunError("loader", "there is no field '{}' in the batch, which has: {}", name, names);
}

}  // namespace trainyard
