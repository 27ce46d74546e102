#include "check/gather.h"

#include <string_view>

#include <dlfcn.h>
#include <fmt/format.h>

#include <ATen/Version.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/util/Exception.h>
#include <torch/version.h>

#include "check/architectures.h"

namespace trainyard {
namespace {

// A function of a library that LibTorch has loaded; nullptr if it has not.
template <typename Function>
Function* loaded(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

// The word after `key` in LibTorch's build description, e.g. "CUDA_VERSION=13.0, ".
std::string setting(std::string_view config, std::string_view key) {
  const std::size_t start = config.find(key);
  if (start == std::string_view::npos) return "";
  config.remove_prefix(start + key.size());
  return std::string(config.substr(0, config.find_first_of(", \n")));
}

// LibTorch before 2.12 reports its architectures only here, and only if the driver provides a device.
std::string config_of_cuda() {
  try {
    return at::detail::getCUDAHooks().showConfig();
  } catch (const c10::Error&) {
    return "";
  }
}

std::string three_parts(std::size_t version, std::size_t major, std::size_t minor) {
  return fmt::format("{}.{}.{}", version / major, version % major / minor, version % minor);
}

}  // namespace

TorchFacts gather_torch() {
  TorchFacts torch;
  torch.version = TORCH_VERSION;
  // The flags that LibTorch was compiled with: correct for the loaded library, even on a machine without a GPU.
  const std::string config = at::show_config();
  torch.cuda_compiled = setting(config, " CUDA_VERSION=");
  if (const std::size_t flags = config.find("CUDA_FLAGS="); flags != std::string::npos) {
    const std::string_view rest = std::string_view(config).substr(flags);
    torch.architectures = architectures_in_flags(rest.substr(0, rest.find(", CUDA_VERSION=")));
  } else if (at::detail::getCUDAHooks().hasCUDART()) {
    torch.architectures = architectures_in_flags(config_of_cuda());
  }
  torch.cudnn_compiled = setting(config, "CUDNN_VERSION=");
  // torch::cuda::nccl::version(), looked up by its mangled name: a LibTorch without CUDA has neither header nor symbol.
  if (auto* version = loaded<std::uint64_t()>("_ZN5torch4cuda4nccl7versionEv")) {
    const std::uint64_t number = version();
    torch.nccl_compiled = fmt::format("{}.{}.{}", number >> 32, number >> 16 & 0xffff, number & 0xffff);
  }
  torch.own_architectures = architectures_of_cmake(TRAINYARD_CUDA_ARCHITECTURES);
  if (torch.own_architectures.empty()) torch.own_architectures = {"none"};
  torch.cuda_linked = at::detail::getCUDAHooks().hasCUDART();
  if (auto* version = loaded<int(int*)>("cudaRuntimeGetVersion")) {
    if (int number = 0; version(&number) == 0)
      torch.cuda_runtime = fmt::format("{}.{}", number / 1000, number % 1000 / 10);
  }
  if (auto* version = loaded<std::size_t()>("cudnnGetVersion")) torch.cudnn = three_parts(version(), 10'000, 100);
  if (auto* version = loaded<int(int*)>("ncclGetVersion")) {
    if (int number = 0; version(&number) == 0) torch.nccl = three_parts(static_cast<std::size_t>(number), 10'000, 100);
  }
  return torch;
}

}  // namespace trainyard
