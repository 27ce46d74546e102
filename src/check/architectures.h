/// Which GPUs a list of compiled architectures serves.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

/// True where code compiled for `architectures` ("sm_80", "sm_90a", "sm_100f", "compute_90") runs on a GPU of compute
/// capability major.minor. Machine code (sm_XY) runs on the same major and an equal or higher minor, with suffix `a` on
/// exactly XY; PTX (compute_XY) is compiled by the driver for anything from XY on. Words it cannot read serve nothing.
bool serves(const std::vector<std::string>& architectures, int major, int minor);

/// The oldest compute capability (10 * major + minor) in the list, 0 for none.
int oldest(const std::vector<std::string>& architectures);

/// The architectures named in a compiler's flags, as in "-gencode arch=compute_75,code=sm_75"; each once, in order.
std::vector<std::string> architectures_in_flags(std::string_view flags);

/// The same of CMake's CUDA_ARCHITECTURES joined by spaces: "80" is machine code and PTX, "80-real" and "80-virtual"
/// one of them.
std::vector<std::string> architectures_of_cmake(std::string_view list);

/// "7.5 8.0 9.0+PTX" for a person; "none" for an empty list.
std::string readable(const std::vector<std::string>& architectures);

}  // namespace trainyard
