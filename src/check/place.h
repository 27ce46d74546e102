/// Commands as they are run in the place where somebody is: on the host, in a container, under WSL2.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "check/facts.h"
#include "check/remedy.h"

namespace trainyard::rules {

bool in_container(const Facts& facts);

/// "on the host: " in a container, which cannot change the driver; empty elsewhere.
std::string on_host(const Facts& facts);

/// "reboot the host", "reboot", "`wsl --shutdown` in Windows".
std::string reboot(const Facts& facts);

/// Where the driver's messages are, those that match `pattern` ("nvrm -e xid").
std::string kernel_log(const Facts& facts, std::string_view pattern);

/// How a GPU is reset, in words that may follow a semicolon.
std::string reset_gpu(const Facts& facts);

/// How a container is started with all GPUs, by its kind.
std::string pass_gpus(const Facts& facts);

/// Adds the ways to a larger /dev/shm of at least `bytes`.
void add_larger_shared_memory(Remedy& remedy, const Facts& facts, std::uint64_t bytes);

/// Adds the way to a LibTorch for CUDA `version`, "12.6", "12.8" or "13.0", and to the driver it needs.
void add_libtorch(Remedy& remedy, const Facts& facts, const std::string& version);

/// Adds `--train.device cpu`.
void add_cpu(Remedy& remedy);

}  // namespace trainyard::rules
