/// Memory that is spread over the GPUs of a host's ranks, for data that does not fit on one of them.
#pragma once

#include <cstdint>

#include "loader/exchange_descriptors.h"
#include "util/torch.h"

namespace trainyard {

/// Bytes on each of `gpus` GPUs of a tensor of `bytes` that empty_on_peers() has spread over them: whole blocks of 2
/// MiB.
std::uint64_t peer_share(std::uint64_t bytes, int gpus);

/// Returns an uninitialized tensor whose memory is spread evenly over the GPUs of `group`, one GPU per rank, and which
/// each rank addresses as a tensor on its own `device`: reads and writes of another GPU's part go through NVLink or
/// PCIe. What one rank writes, the others see once it has synchronized with its GPU and they have been told. The memory
/// lives until all ranks have freed it. All ranks call it. Throws MachineError, with the pair, if a GPU cannot access
/// another one's memory, and RunError if CUDA fails.
at::Tensor empty_on_peers(at::IntArrayRef shape, at::ScalarType type, at::Device device, const HostGroup& group);

}  // namespace trainyard
