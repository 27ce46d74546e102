/// Seeds LibTorch's random numbers.
#pragma once

#include <cstdint>

#include "util/torch.h"

namespace trainyard {

/// Seeds the default generators of the CPU and of `device`. Unlike torch.manual_seed(), does not count the GPUs if that
/// is the CPU: then training works even if CUDA's driver hangs or crashes.
void seed_generators(at::Device device, std::uint64_t seed);

}  // namespace trainyard
