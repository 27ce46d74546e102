/// Gathering the facts. Each layer stands alone: what cannot be found out is left empty or carries the error's words,
/// and nothing here throws because a machine is broken. Must not run in a worker process.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "check/facts.h"

namespace trainyard {

/// Kernel, container, cores, memory, PCI, device nodes: files of /proc, /sys and /dev only.
HostFacts gather_host();

/// The driver through libcuda.so.1 and libnvidia-ml.so.1, both opened by name at run time, so that it works with a
/// LibTorch of any kind. Calls cuInit, makes no context: no GPU memory is taken. Fills driver, and the devices that
/// CUDA shows.
void gather_driver(DriverFacts& driver, std::vector<DeviceFacts>& devices);

/// LibTorch and the libraries it brought: versions and architectures. Needs no GPU. (gather_torch.cpp)
TorchFacts gather_torch();

/// The folder of shared memory; `wanted` bytes, at most 64 MiB, are taken and given back to see that they are there.
SharedMemoryFacts gather_shared_memory(const std::string& path, std::uint64_t wanted);

LimitFacts gather_limits();

/// The folders that `needs` names.
std::vector<FolderFacts> gather_folders(const Needs& needs);

/// The variables that decide which GPUs and libraries are seen.
std::map<std::string, std::string> gather_environment();

/// `text` as one printable line without what names a person or a card: the home folder becomes ~, another one
/// /home/*, the identity of a GPU GPU-*. Public for its tests.
std::string anonymous(std::string text);

}  // namespace trainyard
