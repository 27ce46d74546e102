/// Parses CUDA_VISIBLE_DEVICES as CUDA does: a list of indices, or of GPU- or MIG- identifiers or prefixes of these.
/// CUDA silently ignores the list from its first invalid entry on. A GPU named twice is an error (101). Measured with
/// driver 580: "0,7,1" on two GPUs shows one, "7,0" none, "0,0" fails, "0;1" and "0 1" are read as "0".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trainyard::rules {

/// The entries of the list, without surrounding blanks; an empty entry ends the list and is its last.
std::vector<std::string> visible_entries(std::string_view value);

/// Why CUDA stops at entry `place` of the list, in words that may follow a comma; empty if the entry itself is valid.
std::string entry_fault(const std::vector<std::string>& entries, std::size_t place);

/// The index in an entry, -1 if there is none; like CUDA, parses the leading digits.
int entry_index(std::string_view entry);

}  // namespace trainyard::rules
