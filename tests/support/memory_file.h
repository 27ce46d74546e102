/// Returns bytes as an open, unnamed file.
#pragma once

#include <span>

#include <sys/mman.h>

#include "util/system.h"

namespace trainyard {

inline UniqueFd memory_file(std::span<const std::byte> bytes) {
  UniqueFd file(check_call(memfd_create("test", MFD_CLOEXEC), "test", "memfd_create", "a file"));
  write_all(file.get(), bytes, "test", "a file in memory");
  return file;
}

}  // namespace trainyard
