/// CUDA_VISIBLE_DEVICES as CUDA reads it: a list of indices, or of GPU- or MIG- identifiers or their starts, of which
/// only those before the first invalid one count, without a word. A GPU named twice is an error (101). Measured with
/// driver 580: "0,7,1" on two GPUs shows one, "7,0" none, "0,0" fails, "0;1" and "0 1" are read as "0".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trainyard::rules {

/// The entries of the list, without the blanks around them; an empty entry ends the list and is its last.
std::vector<std::string> visible_entries(std::string_view value);

/// Why CUDA stops at entry `place` of the list, in words that may follow a comma; empty if the entry itself has no
/// fault.
std::string entry_fault(const std::vector<std::string>& entries, std::size_t place);

/// The index in an entry, -1 if it is none; CUDA reads as far as the digits go.
int entry_index(std::string_view entry);

}  // namespace trainyard::rules
