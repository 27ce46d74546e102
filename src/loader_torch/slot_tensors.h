/// A batch in shared memory, as tensors.
#pragma once

#include <memory>

#include "loader/data_loader.h"
#include "util/torch.h"

namespace trainyard {

at::ScalarType scalar_type(DType type);

/// A field in the batch's own memory, valid while it is held: N × shape; of a field that varies all rows of the batch,
/// N × longest × ... if `padded`.
at::Tensor tensor_in_slot(const Batch& batch, std::size_t field, bool padded);
/// The same for as long as the tensor, or one that shares its memory, lives: it holds the batch.
at::Tensor tensor_in_slot(const std::shared_ptr<const Batch>& batch, std::size_t field, bool padded);

/// Rows and begins of a field that varies, in the batch's own memory.
at::Tensor rows_in_slot(const Batch& batch, std::size_t field);
at::Tensor begins_in_slot(const Batch& batch, std::size_t field);

}  // namespace trainyard
