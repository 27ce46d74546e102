#include "loader_torch/cuda/nvjpeg.h"

#include <filesystem>

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "util/error.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr int yuv = 1;  // NVJPEG_OUTPUT_YUV

// The library of this CUDA version: beside the CUDA runtime in use, as the wheels and the toolkit install it, or where
// the dynamic loader finds it.
std::vector<std::string> names() {
  const std::string name = fmt::format("libnvjpeg.so.{}", CUDART_VERSION / 1000);
  std::vector<std::string> names;
  Dl_info runtime{};
  if (dladdr(reinterpret_cast<const void*>(&cudaGetDeviceCount), &runtime) != 0 && runtime.dli_fname != nullptr) {
    const fs::path folder = fs::path(runtime.dli_fname).parent_path();
    names.push_back((folder / name).string());
    names.push_back((folder.parent_path().parent_path() / "nvjpeg" / "lib" / name).string());
  }
  names.push_back(name);
  names.push_back("/usr/local/cuda/lib64/" + name);
  return names;
}

// Never closed: it keeps threads and exit handlers.
void* library() {
  static void* const found = [] {
    std::string why;
    for (const std::string& name : names()) {
      if (void* const handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return handle;
      const char* const error = dlerror();
      if (error != nullptr && why.find(error) == std::string::npos) why += fmt::format("\n  {}", error);
    }
    throw MachineError("loader",
                       "transform.decode = gpu needs nvJPEG, which cannot be loaded: install the Python package "
                       "nvidia-nvjpeg for CUDA {} beside torch (scripts/bootstrap does), or set transform.decode = "
                       "exact:{}",
                       CUDART_VERSION / 1000, why);
  }();
  return found;
}

template <typename... Arguments>
int call(const char* name, Arguments... arguments) {
  auto* const function = reinterpret_cast<int (*)(Arguments...)>(dlsym(library(), name));
  if (function == nullptr) throw MachineError("loader", "nvJPEG has no {}: install a newer one", name);
  return function(arguments...);
}

}  // namespace

Nvjpeg::Nvjpeg() { library(); }

Nvjpeg::~Nvjpeg() { close(); }

void Nvjpeg::close() {
  if (state_ != nullptr) call("nvjpegJpegStateDestroy", std::exchange(state_, nullptr));
  if (handle_ != nullptr) call("nvjpegDestroy", std::exchange(handle_, nullptr));
}

int Nvjpeg::open(Backend backend) {
  close();
  batch_size_ = 0;
  void* const default_allocator = nullptr;
  if (const int status =
          call("nvjpegCreateEx", static_cast<int>(backend), default_allocator, default_allocator, 0U, &handle_)) {
    handle_ = nullptr;
    return status;
  }
  return call("nvjpegJpegStateCreate", handle_, &state_);
}

int Nvjpeg::describe(std::span<const std::byte> file, int& components, int (&widths)[4], int (&heights)[4]) const {
  int subsampling = 0;
  return call("nvjpegGetImageInfo", handle_, reinterpret_cast<const unsigned char*>(file.data()), file.size(),
              &components, &subsampling, &widths[0], &heights[0]);
}

int Nvjpeg::decode(const std::vector<const unsigned char*>& files, const std::vector<std::size_t>& sizes,
                   std::vector<JpegPlanes>& planes, cudaStream_t stream) {
  constexpr int threads = 1;
  if (batch_size_ != files.size()) {
    batch_size_ = 0;
    if (const int status =
            call("nvjpegDecodeBatchedInitialize", handle_, state_, static_cast<int>(files.size()), threads, yuv)) {
      return status;
    }
    batch_size_ = files.size();
  }
  const int status = call("nvjpegDecodeBatched", handle_, state_, files.data(), sizes.data(), planes.data(), stream);
  if (status != 0) batch_size_ = 0;  // to be prepared anew
  return status;
}

}  // namespace trainyard
