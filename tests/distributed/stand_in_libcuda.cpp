// A libcuda.so.1 that reports GPUs but cannot compute: one for each name in STAND_IN_GPUS, e.g. "Card A,Card A". One
// named "lost" cannot be opened. Each process that initializes it adds a line with its ID and the value of
// CUDA_DEVICE_MAX_CONNECTIONS, or "-", to the file STAND_IN_LOG, and crashes if STAND_IN_CRASHES is set.
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <unistd.h>

namespace {

std::vector<std::string> names() {
  std::vector<std::string> names;
  const char* const given = std::getenv("STAND_IN_GPUS");
  std::istringstream words(given == nullptr ? "" : given);
  for (std::string name; std::getline(words, name, ',');) names.push_back(name);
  return names;
}

}  // namespace

extern "C" {

int cuInit(unsigned) {
  if (const char* const log = std::getenv("STAND_IN_LOG")) {
    const char* const connections = std::getenv("CUDA_DEVICE_MAX_CONNECTIONS");
    std::ofstream(log, std::ios::app) << getpid() << ' ' << (connections == nullptr ? "-" : connections) << '\n';
  }
  if (std::getenv("STAND_IN_CRASHES") != nullptr) std::raise(SIGSEGV);
  return 0;
}

int cuDriverGetVersion(int* version) {
  *version = 13'000;
  return 0;
}

int cuDeviceGetCount(int* count) {
  *count = static_cast<int>(names().size());
  return 0;
}

int cuDeviceGet(int* device, int index) {
  constexpr int device_unavailable = 46;
  *device = index;
  return names().at(static_cast<std::size_t>(index)) == "lost" ? device_unavailable : 0;
}

int cuGetErrorName(int, const char** name) {
  *name = "CUDA_ERROR_DEVICE_UNAVAILABLE";
  return 0;
}

int cuDeviceGetName(char* name, int size, int device) {
  std::strncpy(name, names().at(static_cast<std::size_t>(device)).c_str(), static_cast<std::size_t>(size));
  return 0;
}

int cuDeviceTotalMem_v2(std::size_t* bytes, int) {
  *bytes = std::size_t{80} << 30;
  return 0;
}

// Compute capability 9.0, and distinct PCI addresses.
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  constexpr int compute_capability_major = 75;
  constexpr int pci_bus = 33;
  *value = attribute == compute_capability_major ? 9 : attribute == pci_bus ? device + 1 : 0;
  return 0;
}

}  // extern "C"
