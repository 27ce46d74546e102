/// Opens a library of the NVIDIA driver by name at run time, because a machine without a driver has neither the library
/// nor its header. Internal to gather_libcuda.cpp and gather_nvml.cpp.
#pragma once

#include <string>

#include <dlfcn.h>

#include "check/gather.h"

namespace trainyard {

/// Never closed: the driver's libraries keep threads and exit handlers.
class DriverLibrary {
 public:
  /// If it cannot be opened, sets `error` to the dynamic loader's message.
  DriverLibrary(const char* name, std::string& error) : handle_(dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
    if (!handle_) error = anonymous(dlerror());
  }
  explicit operator bool() const { return handle_ != nullptr; }

  /// The function with this name; nullptr if the library is too old to have it.
  template <typename Function>
  Function* find(const char* name) const {
    return reinterpret_cast<Function*>(dlsym(handle_, name));
  }

 private:
  void* handle_;
};

/// "00000000:1B:00.0"
std::string pci_address(unsigned domain, unsigned bus, unsigned device);

}  // namespace trainyard
