/// Converts samples to pictures for eval, the report and predict.
#pragma once

#include "images/image.h"
#include "loader_torch/device_loader.h"

namespace trainyard {

/// The picture of sample `i` of a batch's images, which are uint8 or float32 (0 to 1). RGB if they have 3 channels,
/// otherwise the first channel in grey. Waits for the device.
Image picture_of(const DeviceField& images, std::int64_t i);

}  // namespace trainyard
