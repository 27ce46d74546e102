#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "check/driver_library.h"

namespace trainyard {
namespace {

// The parts of nvml.h that are needed; the interface is stable. Results are ints: 0 is success.
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
struct NvmlFabric {
  unsigned char cluster[16];
  int status;
  unsigned clique;
  unsigned char state;
};
constexpr unsigned long long nvml_unknown = ~0ull;
constexpr int nvml_insufficient_size = 7;
constexpr int nvml_corrected = 0;
constexpr int nvml_uncorrected = 1;
constexpr int nvml_since_driver_load = 0;

// Process ids are meaningful only outside of a container: in the initial PID namespace.
bool process_ids_are_the_hosts() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/ns/pid", error) == "pid:[4026531836]";
}

/// Queries one device. Leaves a value unchanged if the driver does not know it.
class Card {
 public:
  Card(const DriverLibrary& nvml, NvmlDevice handle) : nvml_(nvml), handle_(handle) {}

  template <typename... Pointers>
  bool ask(const char* name, Pointers*... values) const {
    auto* function = nvml_.find<int(NvmlDevice, Pointers * ...)>(name);
    return function && function(handle_, values...) == 0;
  }

  std::string text(const char* name) const {
    std::array<char, 96> text{};
    auto* function = nvml_.find<int(NvmlDevice, char*, unsigned)>(name);
    const bool known = function && function(handle_, text.data(), static_cast<unsigned>(text.size()) - 1) == 0;
    return known ? text.data() : "";
  }

  std::uint64_t ecc_errors(int kind) const {
    unsigned long long count = 0;
    auto* function = nvml_.find<int(NvmlDevice, int, int, unsigned long long*)>("nvmlDeviceGetTotalEccErrors");
    return function && function(handle_, kind, nvml_since_driver_load, &count) == 0 ? count : 0;
  }

  int temperature() const {
    unsigned degrees = 0;
    auto* function = nvml_.find<int(NvmlDevice, int, unsigned*)>("nvmlDeviceGetTemperature");
    return function && function(handle_, 0, &degrees) == 0 ? static_cast<int>(degrees) : 0;
  }

  int mig_instances() const {
    unsigned most = 0;
    if (!ask("nvmlDeviceGetMaxMigDeviceCount", &most)) return 0;
    auto* get = nvml_.find<int(NvmlDevice, unsigned, NvmlDevice*)>("nvmlDeviceGetMigDeviceHandleByIndex");
    int count = 0;
    for (unsigned index = 0; get && index < most; ++index) {
      NvmlDevice instance = nullptr;
      if (get(handle_, index, &instance) == 0) ++count;
    }
    return count;
  }

  std::vector<ProcessFacts> processes() const {
    std::array<NvmlProcess, 256> found{};
    auto count = static_cast<unsigned>(found.size());
    auto* list = nvml_.find<int(NvmlDevice, unsigned*, NvmlProcess*)>("nvmlDeviceGetComputeRunningProcesses_v3");
    const int result = list ? list(handle_, &count, found.data()) : -1;
    if (result != 0 && result != nvml_insufficient_size) return {};
    const bool named = process_ids_are_the_hosts();
    std::vector<ProcessFacts> processes;
    for (std::size_t i = 0; i < std::min<std::size_t>(count, found.size()); ++i) {
      ProcessFacts& process = processes.emplace_back();
      process.pid = static_cast<int>(found[i].pid);
      process.memory = found[i].memory == nvml_unknown ? 0 : found[i].memory;
      if (!named) continue;
      std::ifstream name("/proc/" + std::to_string(process.pid) + "/comm");
      std::getline(name, process.name);
      process.name = anonymous(process.name);
    }
    return processes;
  }

 private:
  const DriverLibrary& nvml_;
  NvmlDevice handle_;
};

std::vector<std::string> reasons_of(unsigned long long bits) {
  std::vector<std::string> reasons;
  if (bits & 0x08) reasons.emplace_back("hardware");
  if (bits & (0x20 | 0x40)) reasons.emplace_back("thermal");
  if (bits & 0x80) reasons.emplace_back("power brake");
  return reasons;
}

void gather_identity(const Card& card, bool names, CardFacts& facts) {
  facts.name = anonymous(card.text("nvmlDeviceGetName"));
  if (names) {
    facts.uuid = card.text("nvmlDeviceGetUUID");
    facts.serial = card.text("nvmlDeviceGetSerial");
  }
  if (NvmlPci pci{}; card.ask("nvmlDeviceGetPciInfo_v3", &pci)) {
    facts.pci = pci_address(pci.domain, pci.bus, pci.device);
  }
}

void gather_modes(const Card& card, CardFacts& facts) {
  unsigned now = 0;
  unsigned pending = 0;
  facts.mig = card.ask("nvmlDeviceGetMigMode", &now, &pending) && now == 1;
  if (facts.mig) facts.mig_instances = card.mig_instances();
  int on = 0;
  facts.persistence = card.ask("nvmlDeviceGetPersistenceMode", &on) && on == 1;
  if (int mode = 0; card.ask("nvmlDeviceGetComputeMode", &mode) && mode >= 0 && mode < 4) {
    constexpr const char* modes[] = {"default", "exclusive_thread", "prohibited", "exclusive_process"};
    facts.compute_mode = modes[mode];
  }
}

void gather_memory(const Card& card, CardFacts& facts) {
  if (NvmlMemory memory{}; card.ask("nvmlDeviceGetMemoryInfo", &memory)) {
    facts.memory = memory.total;
    facts.memory_free = memory.free;
  }
  int on = 0;
  int on_after_reboot = 0;
  facts.ecc = card.ask("nvmlDeviceGetEccMode", &on, &on_after_reboot) && on == 1;
  facts.ecc_corrected = card.ecc_errors(nvml_corrected);
  facts.ecc_uncorrected = card.ecc_errors(nvml_uncorrected);
  unsigned corrected = 0;
  unsigned uncorrected = 0;
  unsigned pending = 0;
  unsigned failed = 0;
  if (card.ask("nvmlDeviceGetRemappedRows", &corrected, &uncorrected, &pending, &failed)) {
    facts.repair_pending = pending != 0;  // Ampere and newer
    facts.repair_failed = failed != 0;
  } else if (card.ask("nvmlDeviceGetRetiredPagesPendingStatus", &on)) {
    facts.repair_pending = on == 1;
  }
}

void gather_clocks_and_power(const Card& card, CardFacts& facts) {
  if (unsigned long long bits = 0; card.ask("nvmlDeviceGetCurrentClocksThrottleReasons", &bits)) {
    facts.slowed_by = reasons_of(bits);
  }
  facts.temperature = card.temperature();
  unsigned milliwatts = 0;
  if (card.ask("nvmlDeviceGetPowerUsage", &milliwatts)) facts.power = milliwatts / 1000.0;
  if (card.ask("nvmlDeviceGetEnforcedPowerLimit", &milliwatts)) facts.power_limit = milliwatts / 1000.0;
}

void gather_links(const Card& card, CardFacts& facts) {
  unsigned number = 0;
  if (card.ask("nvmlDeviceGetCurrPcieLinkGeneration", &number)) facts.pcie_generation = static_cast<int>(number);
  if (card.ask("nvmlDeviceGetCurrPcieLinkWidth", &number)) facts.pcie_width = static_cast<int>(number);
  if (card.ask("nvmlDeviceGetMaxPcieLinkWidth", &number)) facts.pcie_width_most = static_cast<int>(number);
  if (NvmlFabric fabric{}; card.ask("nvmlDeviceGetGpuFabricInfo", &fabric) && fabric.state >= 1 && fabric.state <= 3) {
    constexpr const char* states[] = {"not started", "in progress", "completed"};
    facts.fabric = states[fabric.state - 1];
  }
}

CardFacts gather_card(const Card& card, bool names) {
  CardFacts facts;
  gather_identity(card, names, facts);
  gather_modes(card, facts);
  gather_memory(card, facts);
  gather_clocks_and_power(card, facts);
  gather_links(card, facts);
  facts.processes = card.processes();
  return facts;
}

}  // namespace

void gather_nvml(DriverFacts& driver, bool names) {
  const DriverLibrary nvml("libnvidia-ml.so.1", driver.nvml_error);
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
      version_of && version_of(version.data(), static_cast<unsigned>(version.size()) - 1) == 0) {
    driver.version = anonymous(version.data());
  }
  unsigned count = 0;
  auto* count_of = nvml.find<int(unsigned*)>("nvmlDeviceGetCount_v2");
  auto* get = nvml.find<int(unsigned, NvmlDevice*)>("nvmlDeviceGetHandleByIndex_v2");
  if (count_of && get && count_of(&count) == 0) {
    for (unsigned index = 0; index < count; ++index) {
      NvmlDevice handle = nullptr;
      if (get(index, &handle) == 0) driver.cards.push_back(gather_card(Card(nvml, handle), names));
    }
  }
  shutdown();
}

void gather_driver(DriverFacts& driver, std::vector<DeviceFacts>& devices, bool names) {
  gather_libcuda(driver, devices);
  gather_nvml(driver, names);
  for (DeviceFacts& device : devices) {
    for (const CardFacts& card : driver.cards) {
      // A MIG instance has its own memory, which its card's values do not include.
      if (card.pci == device.pci && !card.mig) device.memory_free = card.memory_free;
    }
  }
}

}  // namespace trainyard
