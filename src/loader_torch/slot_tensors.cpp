#include "loader_torch/slot_tensors.h"

namespace trainyard {

at::ScalarType scalar_type(DType type) { return type == DType::uint8 ? at::kByte : at::kFloat; }

at::Tensor images_in_slot(const Batch& batch) {
  std::vector<std::int64_t> shape = batch.sample().shape;
  if (batch.sample().varies) {
    shape[0] = batch.begins().back();
  } else {
    shape.insert(shape.begin(), static_cast<std::int64_t>(batch.count()));
  }
  return at::from_blob(const_cast<std::byte*>(batch.images().data()), shape, scalar_type(batch.sample().dtype));
}

at::Tensor labels_in_slot(const Batch& batch) {
  return at::from_blob(const_cast<std::int64_t*>(batch.labels().data()), {static_cast<std::int64_t>(batch.count())},
                       at::kLong);
}

}  // namespace trainyard
