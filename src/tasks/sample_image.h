/// Takes the images of single samples out of a batch, for eval, the report and predict.
#pragma once

#include "images/image.h"
#include "loader_torch/device_loader.h"

namespace trainyard {

/// The image of sample `i`. `images` is the field of a batch, in uint8 or float32 (0 to 1). RGB if it has 3 channels,
/// otherwise the first channel in grey. Waits for the device.
Image sample_image(const DeviceField& images, std::int64_t i);

}  // namespace trainyard
