/// Room in a tmpfs.
#pragma once

#include <cstdint>
#include <string>

#include "util/system.h"

namespace trainyard {

/// An unnamed file of `bytes` zeros in `directory` (/dev/shm), none of it reserved: it is gone with the last process
/// that uses it, however that ends. Throws MachineError where the directory is missing or takes no file, RunError else.
UniqueFd open_shared_file(const std::string& directory, std::size_t bytes);

/// The file at `path`, which is made where there is none, for this user alone. It is locked (flock) until the
/// descriptor is closed: waits for whoever has it. Throws as open_shared_file(), RunError for a file of another user.
UniqueFd open_named_file(const std::string& path);

/// Reserves a part of such a file: none of its pages can be missing later, and it is as if it had been written to
/// already. False where there is no room for it; throws RunError for everything else.
bool reserve(int file, std::size_t begin, std::size_t bytes);

}  // namespace trainyard
