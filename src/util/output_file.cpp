#include "util/output_file.h"

#include <system_error>

#include <fcntl.h>

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

// Follows links to the final target, which need not exist.
fs::path end_of_links(fs::path path) {
  std::error_code error;
  while (fs::is_symlink(path, error)) path = path.parent_path() / fs::read_symlink(path);
  return path;
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

void write_output_file(const fs::path& path, std::string_view text, std::string_view where) {
  const fs::file_type type = type_of(path);
  if (type != fs::file_type::character && type != fs::file_type::block && type != fs::file_type::fifo) {
    write_file_atomically(replaceable_file(path, where), [&](FileWriter& file) { file.write(text); });
    return;
  }
  const UniqueFd fd(check_call(retry_on_eintr([&] { return open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC); }),
                               where, "open", printable(path.string())));
  write_all(fd.get(), std::as_bytes(std::span(text)), where, printable(path.string()));
}

}  // namespace trainyard
