#include <array>
#include <filesystem>

#include <dlfcn.h>
#include <fmt/format.h>

#include "check/driver_library.h"

namespace trainyard {
namespace {

// The parts of cuda.h that are needed; the interface is stable. Results are ints: 0 is success.
using CuDevice = int;
constexpr int cu_compute_capability_major = 75;
constexpr int cu_compute_capability_minor = 76;
constexpr int cu_pci_bus = 33;
constexpr int cu_pci_device = 34;
constexpr int cu_pci_domain = 50;

std::string cuda_error_text(const DriverLibrary& cuda, int code) {
  const char* name = nullptr;
  const char* text = nullptr;
  if (auto* find = cuda.find<int(int, const char**)>("cuGetErrorName")) find(code, &name);
  if (auto* find = cuda.find<int(int, const char**)>("cuGetErrorString")) find(code, &text);
  return fmt::format("{}: {}", name ? name : "unknown", text ? text : "no text");
}

std::string path_of(const void* symbol) {
  Dl_info info{};
  if (!symbol || dladdr(symbol, &info) == 0 || !info.dli_fname) return "libcuda.so.1";
  std::error_code error;
  const auto path = std::filesystem::canonical(info.dli_fname, error);
  return anonymous(error ? info.dli_fname : path.string());
}

void gather_devices(const DriverLibrary& cuda, std::vector<DeviceFacts>& devices) {
  auto* count_of = cuda.find<int(int*)>("cuDeviceGetCount");
  auto* get = cuda.find<int(CuDevice*, int)>("cuDeviceGet");
  auto* name_of = cuda.find<int(char*, int, CuDevice)>("cuDeviceGetName");
  auto* memory_of = cuda.find<int(std::size_t*, CuDevice)>("cuDeviceTotalMem_v2");
  auto* attribute_of = cuda.find<int(int*, int, CuDevice)>("cuDeviceGetAttribute");
  int count = 0;
  if (!count_of || !get || !name_of || !memory_of || !attribute_of || count_of(&count) != 0) return;
  for (int index = 0; index < count; ++index) {
    DeviceFacts device;
    device.index = index;
    CuDevice handle = 0;
    if (const int code = get(&handle, index); code != 0) {
      device.error = cuda_error_text(cuda, code);
      devices.push_back(std::move(device));
      continue;
    }
    const auto attribute = [&](int which) {
      int value = 0;
      return attribute_of(&value, which, handle) == 0 ? value : 0;
    };
    std::array<char, 256> name{};
    if (name_of(name.data(), static_cast<int>(name.size()) - 1, handle) == 0) device.name = anonymous(name.data());
    std::size_t memory = 0;
    if (memory_of(&memory, handle) == 0) device.memory = memory;
    device.major = attribute(cu_compute_capability_major);
    device.minor = attribute(cu_compute_capability_minor);
    const auto number = [&](int which) { return static_cast<unsigned>(attribute(which)); };
    device.pci = pci_address(number(cu_pci_domain), number(cu_pci_bus), number(cu_pci_device));
    devices.push_back(std::move(device));
  }
}

}  // namespace

std::string pci_address(unsigned domain, unsigned bus, unsigned device) {
  return fmt::format("{:08X}:{:02X}:{:02X}.0", domain, bus, device);
}

void gather_libcuda(DriverFacts& driver, std::vector<DeviceFacts>& devices) {
  const DriverLibrary cuda("libcuda.so.1", driver.libcuda_error);
  if (!cuda) return;
  auto* init = cuda.find<int(unsigned)>("cuInit");
  driver.libcuda = path_of(reinterpret_cast<const void*>(init));
  if (auto* version = cuda.find<int(int*)>("cuDriverGetVersion")) version(&driver.cuda_version);
  if (!init) return;
  driver.init_code = init(0);
  if (driver.init_code == 0) {
    gather_devices(cuda, devices);
  } else {
    driver.init_error = cuda_error_text(cuda, driver.init_code);
  }
}

}  // namespace trainyard
