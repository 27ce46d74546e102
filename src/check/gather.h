/// Gathers the facts. The layers are independent: what cannot be determined stays empty or holds the error message, and
/// no function here throws because a machine is broken. Must not run in a worker process. With `names` the names of
/// host and user and the serial numbers of the cards are gathered too.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "check/anonymous.h"
#include "check/facts.h"

namespace trainyard {

/// Kernel, container, cgroup, cores, memory, PCI, device nodes: reads files of /proc, /sys and /dev only.
HostFacts gather_host(bool names = false);

/// The driver through libcuda.so.1 and libnvidia-ml.so.1, both opened by name at run time, so that it works with any
/// kind of LibTorch. Calls cuInit but creates no context: no GPU memory is used. Fills `driver` and the devices visible
/// to CUDA.
void gather_driver(DriverFacts& driver, std::vector<DeviceFacts>& devices, bool names = false);
/// The two parts of gather_driver().
void gather_libcuda(DriverFacts& driver, std::vector<DeviceFacts>& devices);
void gather_nvml(DriverFacts& driver, bool names);

/// LibTorch and the libraries that come with it: versions and architectures. Needs no GPU. (gather_torch.cpp)
TorchFacts gather_torch();

/// The CUDA libraries that this process has loaded, and those in `search_path`, a colon-separated list of folders, or
/// in the folder of CUDA's forward compatibility package. Sorted, each file once.
std::vector<LibraryFacts> gather_libraries(const std::string& search_path);

/// The shared-memory folder; allocates `wanted` bytes, at most 64 MiB, and frees them, to verify that they are
/// available.
SharedMemoryFacts gather_shared_memory(const std::string& path, std::uint64_t wanted);

LimitFacts gather_limits();

/// The folders named by `needs`. `data_error` is why the configured dataset cannot be read, `saving_error` why no
/// checkpoint can be saved; empty if they can.
std::vector<FolderFacts> gather_folders(const Needs& needs, const std::string& data_error = "",
                                        const std::string& saving_error = "");

/// The environment variables that determine which GPUs and libraries are found, and how CUDA, NCCL and LibTorch behave.
std::map<std::string, std::string> gather_environment();

}  // namespace trainyard
