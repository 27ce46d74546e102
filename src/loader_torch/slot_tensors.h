/// A batch in shared memory, as tensors.
#pragma once

#include "loader/data_loader.h"
#include "util/torch.h"

namespace trainyard {

at::ScalarType scalar_type(DType type);

/// N × height × width × channels and N class indices in the batch's own memory: valid while it is held. Where samples
/// vary in length, all rows of the batch, one behind the other: padded ones are N × longest × ... by a view().
at::Tensor images_in_slot(const Batch& batch);
at::Tensor labels_in_slot(const Batch& batch);

}  // namespace trainyard
