/// Pictures of samples for people: what eval, the report and predict show.
#pragma once

#include "images/image.h"
#include "loader_torch/device_loader.h"

namespace trainyard {

/// The picture of sample `i` of a batch's images, uint8 or float32 (taken as 0 to 1): grey unless it has 3 channels, of
/// others the first. Waits for the device.
Image picture_of(const DeviceField& images, std::int64_t i);

}  // namespace trainyard
