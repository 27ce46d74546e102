/// Words commands for the user's environment: on the host, in a container, under WSL2.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "check/facts.h"
#include "check/remedy.h"

namespace trainyard::rules {

bool in_container(const Facts& facts);

/// In a container, which cannot change the driver, "on the host: "; otherwise empty.
std::string on_host(const Facts& facts);

/// "reboot the host", "reboot", "`wsl --shutdown` in Windows".
std::string reboot(const Facts& facts);

/// Where to find the driver's messages that match `pattern` ("nvrm -e xid").
std::string kernel_log(const Facts& facts, std::string_view pattern);

/// How to reset a GPU, in words that may follow a semicolon.
std::string reset_gpu(const Facts& facts);

/// How to start a container of this kind with all GPUs.
std::string pass_gpus(const Facts& facts);

/// Adds the ways to enlarge /dev/shm to at least `bytes`.
void add_larger_shared_memory(Remedy& remedy, const Facts& facts, std::uint64_t bytes);

/// Adds the way to install a LibTorch for CUDA `version`, "12.6", "12.8" or "13.0", and the driver it needs.
void add_libtorch(Remedy& remedy, const Facts& facts, const std::string& version);

/// Adds `--train.device cpu`.
void add_cpu(Remedy& remedy);

}  // namespace trainyard::rules
