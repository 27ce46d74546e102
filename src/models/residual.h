/// The residual stream of a transformer, as its blocks pass it on.
#pragma once

#include "layers/layer_norm.h"

namespace trainyard {

/// The stream between two blocks; the next norm does the pending add.
struct Residual {
  at::Tensor x;
  PendingAdd pending;
};

}  // namespace trainyard
