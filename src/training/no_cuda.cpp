#include "training/cuda_graph.h"

namespace trainyard {

std::unique_ptr<CudaGraph> capture_cuda_graph(at::Device, const std::function<void()>&) { return nullptr; }

}  // namespace trainyard
