/// Creates files in a tmpfs and reserves their memory.
#pragma once

#include <cstdint>
#include <string>

#include "util/system.h"

namespace trainyard {

/// Creates an unnamed file of `bytes` zeros in `directory` (/dev/shm), with no memory reserved. It disappears with the
/// last process that uses it, however that ends. Throws MachineError if the directory is missing or no file can be
/// created in it, otherwise RunError.
UniqueFd open_shared_file(const std::string& directory, std::size_t bytes);

/// Opens the file at `path`, or creates it with access for this user only. It is locked (flock) until the descriptor is
/// closed; waits for another holder of the lock. Throws like open_shared_file(), and RunError for another user's file.
UniqueFd open_named_file(const std::string& path);

/// Reserves a part of such a file: none of its pages can be missing later, as if they had already been written. Returns
/// false if there is not enough memory; throws RunError for any other error.
bool reserve(int file, std::size_t begin, std::size_t bytes);

}  // namespace trainyard
