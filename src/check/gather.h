/// Gathering the facts. Each layer stands alone: what cannot be found out is left empty or carries the error's words,
/// and nothing here throws because a machine is broken. Must not run in a worker process.
/// With `names` true the names of host and user and the serial numbers of the cards are gathered too.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "check/anonymous.h"
#include "check/facts.h"

namespace trainyard {

/// Kernel, container, cgroup, cores, memory, PCI, device nodes: files of /proc, /sys and /dev only.
HostFacts gather_host(bool names = false);

/// The driver through libcuda.so.1 and libnvidia-ml.so.1, both opened by name at run time, so that it works with a
/// LibTorch of any kind. Calls cuInit, makes no context: no GPU memory is taken. Fills driver, and the devices that
/// CUDA shows.
void gather_driver(DriverFacts& driver, std::vector<DeviceFacts>& devices, bool names = false);
/// Its two halves.
void gather_libcuda(DriverFacts& driver, std::vector<DeviceFacts>& devices);
void gather_nvml(DriverFacts& driver, bool names);

/// LibTorch and the libraries it brought: versions and architectures. Needs no GPU. (gather_torch.cpp)
TorchFacts gather_torch();

/// The CUDA libraries this process has loaded, and those that lie in `search_path`, folders joined by colons, or where
/// CUDA's forward compatibility is installed. Sorted, each file once.
std::vector<LibraryFacts> gather_libraries(const std::string& search_path);

/// The folder of shared memory; `wanted` bytes, at most 64 MiB, are taken and given back to see that they are there.
SharedMemoryFacts gather_shared_memory(const std::string& path, std::uint64_t wanted);

LimitFacts gather_limits();

/// The folders that `needs` names. `data_error` is why the configured dataset cannot be read, `saving_error` why a
/// checkpoint cannot be saved; empty if they can.
std::vector<FolderFacts> gather_folders(const Needs& needs, const std::string& data_error = "",
                                        const std::string& saving_error = "");

/// The variables that decide which GPUs and libraries are seen, and how CUDA, NCCL and LibTorch behave.
std::map<std::string, std::string> gather_environment();

}  // namespace trainyard
