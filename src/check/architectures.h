/// Determines which GPUs a list of compiled architectures supports.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

/// Whether code compiled for `architectures` ("sm_80", "sm_90a", "sm_100f", "compute_90") runs on a GPU of compute
/// capability major.minor. Machine code (sm_XY) runs on the same major and an equal or higher minor; with suffix `a`,
/// on exactly XY. The driver compiles PTX (compute_XY) for any capability from XY up. Unknown words support nothing.
bool serves(const std::vector<std::string>& architectures, int major, int minor);

/// The lowest compute capability (10 * major + minor) in the list; 0 if it is empty.
int oldest(const std::vector<std::string>& architectures);

/// The architectures named in a compiler's flags, e.g. "-gencode arch=compute_75,code=sm_75"; each once, in order.
std::vector<std::string> architectures_in_flags(std::string_view flags);

/// The same for CMake's CUDA_ARCHITECTURES, joined by spaces: "80" is machine code and PTX, "80-real" and "80-virtual"
/// are one of them.
std::vector<std::string> architectures_of_cmake(std::string_view list);

/// "7.5 8.0 9.0+PTX", to show to the user; "none" for an empty list.
std::string readable(const std::vector<std::string>& architectures);

}  // namespace trainyard
