/// The tensors of timm's ConvNeXts (timm/models/convnext.py) under torchvision's names
/// (torchvision/models/convnext.py).
#pragma once

#include <string>

#include "util/named_tensors.h"

namespace trainyard {

/// Converts the name of a tensor of timm's ConvNeXt to torchvision's; other names stay as they are.
std::string torchvision_name(const std::string& name);

/// Describes the variant of timm's ConvNeXt that has tensors with these names, converted by torchvision_name(), if it
/// is not the architecture that torchvision has; otherwise empty.
std::string convnext_variant(const NamedTensors& tensors);

}  // namespace trainyard
