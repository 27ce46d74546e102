/// Reads text that the user passes to a command: a file, a pipe, standard input.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace trainyard {

/// Reads a regular file, a pipe (e.g. from `<(command)`) or, for "-", standard input, to its end. A named pipe must get
/// a writer within two seconds. Throws RunError for anything else and for more than `most` bytes.
std::string read_text_input(const std::string& path, std::string_view where, std::size_t most);

}  // namespace trainyard
