#include "check/version.h"

#include <fmt/format.h>

#include "check/architectures.h"
#include "check/gather.h"

namespace trainyard {
namespace {

#ifdef __clang__
constexpr const char* compiler = "clang " __clang_version__;
#else
constexpr const char* compiler = "g++ " __VERSION__;
#endif

}  // namespace

std::string version_text() {
  const TorchFacts torch = gather_torch();
  const auto or_none = [](const std::string& text) { return text.empty() ? std::string("none") : text; };
  return fmt::format(
      "trainyard {}\nLibTorch {}\nCUDA {} (runtime {})\ncuDNN {}\nNCCL {}\ncompiler {}\n"
      "architectures {} (LibTorch), {} (own kernels)\n",
      TRAINYARD_VERSION, torch.version, or_none(torch.cuda_compiled), or_none(torch.cuda_runtime), or_none(torch.cudnn),
      or_none(torch.nccl), compiler, readable(torch.architectures), readable(torch.own_architectures));
}

}  // namespace trainyard
