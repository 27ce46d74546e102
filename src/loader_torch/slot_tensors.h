/// Wraps a batch in shared memory as tensors, without copies.
#pragma once

#include <memory>

#include "loader/data_loader.h"
#include "util/torch.h"

namespace trainyard {

at::ScalarType scalar_type(DType type);

/// A field in the batch's slot, valid while the batch is held: N × shape; for a variable-length field all rows of the
/// batch, N × longest × ... if `padded`.
at::Tensor tensor_in_slot(const Batch& batch, std::size_t field, bool padded);
/// The same, but the tensor and all that share its memory hold the batch.
at::Tensor tensor_in_slot(const std::shared_ptr<const Batch>& batch, std::size_t field, bool padded);

/// Rows and begins of a variable-length field, in the batch's slot.
at::Tensor rows_in_slot(const Batch& batch, std::size_t field);
at::Tensor begins_in_slot(const Batch& batch, std::size_t field);

}  // namespace trainyard
