#include "distributed/nccl.h"
#include "util/error.h"

namespace trainyard {

c10::intrusive_ptr<c10d::Backend> make_nccl_backend(const c10::intrusive_ptr<c10d::Store>&, int, int, at::Device,
                                                    std::chrono::milliseconds) {
  throw MachineError("distributed",
                     "training on several GPUs needs NCCL, and this program was built without a CUDA compiler; build "
                     "it with one, or set train.device = cuda:0");
}

}  // namespace trainyard
