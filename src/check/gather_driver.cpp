#include <array>
#include <filesystem>

#include <dlfcn.h>
#include <fmt/format.h>

#include "check/gather.h"

namespace trainyard {
namespace {

// A library of the driver, opened by name. Never closed: the driver's libraries keep threads and exit handlers.
class Library {
 public:
  Library(const char* name, std::string& error) : handle_(dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
    if (!handle_) error = anonymous(dlerror());
  }
  explicit operator bool() const { return handle_ != nullptr; }

  /// The function of this name, nullptr where the library is too old to have it.
  template <typename Function>
  Function* find(const char* name) const {
    return reinterpret_cast<Function*>(dlsym(handle_, name));
  }

 private:
  void* handle_;
};

// The parts of cuda.h and nvml.h that are needed; both interfaces are stable, and neither header is there on a machine
// without CUDA. Results are ints: 0 is success.
using CuDevice = int;
constexpr int cu_compute_capability_major = 75;
constexpr int cu_compute_capability_minor = 76;
constexpr int cu_pci_bus = 33;
constexpr int cu_pci_device = 34;
constexpr int cu_pci_domain = 50;

using NvmlDevice = struct NvmlDeviceOpaque*;
struct NvmlMemory {
  unsigned long long total, free, used;
};
struct NvmlPci {
  char legacy_bus_id[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char bus_id[32];
};
struct NvmlProcess {
  unsigned pid;
  unsigned long long memory;
  unsigned gpu_instance, compute_instance;
};
constexpr unsigned long long nvml_unknown = ~0ull;
constexpr int nvml_insufficient_size = 7;

std::string cuda_error_text(const Library& cuda, int code) {
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

void gather_devices(const Library& cuda, std::vector<DeviceFacts>& devices) {
  auto* count_of = cuda.find<int(int*)>("cuDeviceGetCount");
  auto* get = cuda.find<int(CuDevice*, int)>("cuDeviceGet");
  auto* name_of = cuda.find<int(char*, int, CuDevice)>("cuDeviceGetName");
  auto* memory_of = cuda.find<int(std::size_t*, CuDevice)>("cuDeviceTotalMem_v2");
  auto* attribute_of = cuda.find<int(int*, int, CuDevice)>("cuDeviceGetAttribute");
  int count = 0;
  if (!count_of || !get || !name_of || !memory_of || !attribute_of || count_of(&count) != 0) return;
  for (int index = 0; index < count; ++index) {
    CuDevice handle = 0;
    if (get(&handle, index) != 0) continue;
    const auto attribute = [&](int which) {
      int value = 0;
      return attribute_of(&value, which, handle) == 0 ? value : 0;
    };
    DeviceFacts device;
    device.index = index;
    std::array<char, 256> name{};
    if (name_of(name.data(), static_cast<int>(name.size()) - 1, handle) == 0) device.name = anonymous(name.data());
    std::size_t memory = 0;
    if (memory_of(&memory, handle) == 0) device.memory = memory;
    device.major = attribute(cu_compute_capability_major);
    device.minor = attribute(cu_compute_capability_minor);
    device.pci = fmt::format("{:08X}:{:02X}:{:02X}.0", attribute(cu_pci_domain), attribute(cu_pci_bus),
                             attribute(cu_pci_device));
    devices.push_back(std::move(device));
  }
}

void gather_cuda(DriverFacts& driver, std::vector<DeviceFacts>& devices) {
  const Library cuda("libcuda.so.1", driver.libcuda_error);
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

std::vector<std::uint64_t> process_memory(const Library& nvml, NvmlDevice handle) {
  auto* list = nvml.find<int(NvmlDevice, unsigned*, NvmlProcess*)>("nvmlDeviceGetComputeRunningProcesses_v3");
  if (!list) return {};
  std::array<NvmlProcess, 256> processes{};
  auto count = static_cast<unsigned>(processes.size());
  const int result = list(handle, &count, processes.data());
  if (result != 0 && result != nvml_insufficient_size) return {};
  std::vector<std::uint64_t> memory;
  for (unsigned i = 0; i < count && i < processes.size(); ++i) {
    memory.push_back(processes[i].memory == nvml_unknown ? 0 : processes[i].memory);
  }
  return memory;
}

CardFacts gather_card(const Library& nvml, NvmlDevice handle) {
  CardFacts card;
  const auto ask = [&](const char* name, auto* value) {
    auto* function = nvml.find<int(NvmlDevice, decltype(value))>(name);
    return function && function(handle, value) == 0;
  };
  std::array<char, 96> name{};
  if (auto* name_of = nvml.find<int(NvmlDevice, char*, unsigned)>("nvmlDeviceGetName");
      name_of && name_of(handle, name.data(), static_cast<unsigned>(name.size())) == 0) {
    card.name = anonymous(name.data());
  }
  if (NvmlPci pci{}; ask("nvmlDeviceGetPciInfo_v3", &pci)) {
    card.pci = fmt::format("{:08X}:{:02X}:{:02X}.0", pci.domain, pci.bus, pci.device);
  }
  if (NvmlMemory memory{}; ask("nvmlDeviceGetMemoryInfo", &memory)) {
    card.memory = memory.total;
    card.memory_free = memory.free;
  }
  unsigned mig_now = 0;
  unsigned mig_pending = 0;
  if (auto* mig = nvml.find<int(NvmlDevice, unsigned*, unsigned*)>("nvmlDeviceGetMigMode");
      mig && mig(handle, &mig_now, &mig_pending) == 0) {
    card.mig = mig_now == 1;
  }
  if (int on = 0; ask("nvmlDeviceGetPersistenceMode", &on)) card.persistence = on == 1;
  if (int mode = 0; ask("nvmlDeviceGetComputeMode", &mode) && mode >= 0 && mode < 4) {
    constexpr const char* modes[] = {"default", "exclusive_thread", "prohibited", "exclusive_process"};
    card.compute_mode = modes[mode];
  }
  unsigned long long errors = 0;
  if (auto* ecc = nvml.find<int(NvmlDevice, int, int, unsigned long long*)>("nvmlDeviceGetTotalEccErrors");
      ecc && ecc(handle, 1 /* uncorrected */, 0 /* since the driver was loaded */, &errors) == 0) {
    card.ecc_uncorrected = errors;
  }
  if (unsigned long long reasons = 0; ask("nvmlDeviceGetCurrentClocksThrottleReasons", &reasons)) {
    if (reasons & 0x08) card.slowed_by.emplace_back("hardware");
    if (reasons & (0x20 | 0x40)) card.slowed_by.emplace_back("thermal");
    if (reasons & 0x80) card.slowed_by.emplace_back("power brake");
  }
  card.process_memory = process_memory(nvml, handle);
  return card;
}

void gather_nvml(DriverFacts& driver) {
  const Library nvml("libnvidia-ml.so.1", driver.nvml_error);
  if (!nvml) return;
  auto* init = nvml.find<int()>("nvmlInit_v2");
  auto* shutdown = nvml.find<int()>("nvmlShutdown");
  if (!init || !shutdown) return;
  driver.nvml_code = init();
  if (driver.nvml_code != 0) {
    auto* text = nvml.find<const char*(int)>("nvmlErrorString");
    driver.nvml_error = text ? anonymous(text(driver.nvml_code)) : "no text";
    return;
  }
  std::array<char, 96> version{};
  if (auto* version_of = nvml.find<int(char*, unsigned)>("nvmlSystemGetDriverVersion");
      version_of && version_of(version.data(), static_cast<unsigned>(version.size())) == 0) {
    driver.version = anonymous(version.data());
  }
  unsigned count = 0;
  auto* count_of = nvml.find<int(unsigned*)>("nvmlDeviceGetCount_v2");
  auto* get = nvml.find<int(unsigned, NvmlDevice*)>("nvmlDeviceGetHandleByIndex_v2");
  if (count_of && get && count_of(&count) == 0) {
    for (unsigned index = 0; index < count; ++index) {
      if (NvmlDevice handle = nullptr; get(index, &handle) == 0) driver.cards.push_back(gather_card(nvml, handle));
    }
  }
  shutdown();
}

}  // namespace

void gather_driver(DriverFacts& driver, std::vector<DeviceFacts>& devices) {
  gather_cuda(driver, devices);
  gather_nvml(driver);
  for (DeviceFacts& device : devices) {
    for (const CardFacts& card : driver.cards) {
      // A MIG instance has its own memory, which its card's numbers do not tell.
      if (card.pci == device.pci && !card.mig) device.memory_free = card.memory_free;
    }
  }
}

}  // namespace trainyard
