#include "loader_torch/slot_tensors.h"

namespace trainyard {
namespace {

std::vector<std::int64_t> shape_of(const Batch& batch, std::size_t field, bool padded) {
  const BatchField& values = batch.fields()[field];
  std::vector<std::int64_t> shape = values.field->shape;
  const auto count = static_cast<std::int64_t>(batch.count());
  if (!values.field->varies) {
    shape.insert(shape.begin(), count);
    return shape;
  }
  shape[0] = values.begins.back();
  if (padded) {
    shape[0] = count > 0 ? values.begins.back() / count : 0;
    shape.insert(shape.begin(), count);
  }
  return shape;
}

template <typename T>
at::Tensor view_of(std::span<const T> values, at::IntArrayRef shape, at::ScalarType type) {
  return at::from_blob(const_cast<T*>(values.data()), shape, type);
}

}  // namespace

at::ScalarType scalar_type(DType type) {
  switch (type) {
    case DType::uint8:
      return at::kByte;
    case DType::int32:
      return at::kInt;
    case DType::int64:
      return at::kLong;
    case DType::float32:
      return at::kFloat;
    case DType::float64:
      break;
  }
  return at::kDouble;
}

at::Tensor tensor_in_slot(const Batch& batch, std::size_t field, bool padded) {
  const BatchField& values = batch.fields()[field];
  return view_of(values.elements, shape_of(batch, field, padded), scalar_type(values.field->dtype));
}

at::Tensor tensor_in_slot(const std::shared_ptr<const Batch>& batch, std::size_t field, bool padded) {
  const BatchField& values = batch->fields()[field];
  return at::from_blob(
      const_cast<std::byte*>(values.elements.data()), shape_of(*batch, field, padded),
      [held = batch](void*) mutable { held.reset(); }, scalar_type(values.field->dtype));
}

at::Tensor rows_in_slot(const Batch& batch, std::size_t field) {
  const std::span<const std::int64_t> rows = batch.fields()[field].rows;
  return view_of(rows, {std::ssize(rows)}, at::kLong);
}

at::Tensor begins_in_slot(const Batch& batch, std::size_t field) {
  const std::span<const std::int64_t> begins = batch.fields()[field].begins;
  return view_of(begins, {std::ssize(begins)}, at::kLong);
}

}  // namespace trainyard
