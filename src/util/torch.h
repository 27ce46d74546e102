/// The torch headers that most files use, precompiled (see src/CMakeLists.txt).
/// A header missing here may be included where it is needed; add it here once many files do.
#pragma once

#include <ATen/ATen.h>
#include <torch/nn/module.h>
