#include "logging/append.h"

#include <span>

#include <unistd.h>

#include "util/error.h"
#include "util/log.h"
#include "util/system.h"

namespace trainyard {

void append_record(int fd, std::string_view record, const std::string& path) {
  const off_t end = check_call(lseek(fd, 0, SEEK_END), "metrics", "seek", path);
  try {
    write_all(fd, std::as_bytes(std::span(record)), "metrics", path);
  } catch (const RunError&) {
    if (ftruncate(fd, end) == -1) log_warning(fmt::format("[metrics] {} ends with a part of a record", path));
    throw;
  }
}

}  // namespace trainyard
