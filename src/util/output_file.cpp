#include "util/output_file.h"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "util/atomic_file.h"
#include "util/error.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

const char* kind_of(fs::file_type type) {
  switch (type) {
    case fs::file_type::directory:
      return "a folder";
    case fs::file_type::character:
    case fs::file_type::block:
      return "a device";
    case fs::file_type::fifo:
      return "a pipe";
    case fs::file_type::socket:
      return "a socket";
    default:
      return "something else";
  }
}

fs::file_type type_of(const fs::path& path) {
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  if (type == fs::file_type::none) throw_system_error("output", "stat", printable(path.string()), error.value());
  return type;
}

bool is_device_or_pipe(fs::file_type type) {
  return type == fs::file_type::character || type == fs::file_type::block || type == fs::file_type::fifo;
}

// Follows links to the final target, which need not exist.
fs::path end_of_links(fs::path path) {
  std::error_code error;
  while (fs::is_symlink(path, error)) path = path.parent_path() / fs::read_symlink(path);
  return path;
}

// Does not wait for the reader of a pipe, which may never come.
UniqueFd open_device_or_pipe(const fs::path& path, fs::file_type type, std::string_view where) {
  const std::string shown = printable(path.string());
  const int opened = retry_on_eintr([&] { return open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); });
  if (opened == -1 && errno == ENXIO && type == fs::file_type::fifo) {
    throw RunError(where, "{} is a pipe that no program reads; start its reader first, or choose another path", shown);
  }
  UniqueFd fd(check_call(opened, where, "open", shown));
  check_call(fcntl(fd.get(), F_SETFL, 0), where, "fcntl", shown);  // a write waits for its reader
  return fd;
}

}  // namespace

fs::path replaceable_file(const fs::path& path, std::string_view where) {
  const fs::file_type type = type_of(path);
  if (type == fs::file_type::not_found) return end_of_links(path);
  if (type != fs::file_type::regular) {
    throw UsageError(where, "{} is {}, not a regular file; choose another path", printable(path.string()),
                     kind_of(type));
  }
  return fs::canonical(path);
}

void require_writable(const fs::path& path, std::string_view where) {
  if (is_device_or_pipe(type_of(path))) return;
  const fs::path file = replaceable_file(path, where);
  const fs::path folder = file.has_parent_path() ? file.parent_path() : ".";
  if (access(folder.c_str(), W_OK) == 0) return;
  throw UsageError(where, "cannot write {}: the folder {} is missing or not writable; choose another path",
                   printable(path.string()), printable(folder.string()));
}

void write_output_file(const fs::path& path, std::string_view text, std::string_view where) {
  const fs::file_type type = type_of(path);
  if (!is_device_or_pipe(type)) {
    write_file_atomically(replaceable_file(path, where), [&](FileWriter& file) { file.write(text); });
    return;
  }
  const UniqueFd fd = open_device_or_pipe(path, type, where);
  write_all(fd.get(), std::as_bytes(std::span(text)), where, printable(path.string()));
}

}  // namespace trainyard
