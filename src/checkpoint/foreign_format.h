/// Recognizes files that users mistake for safetensors files, and says how to convert them.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace trainyard {

/// Says what `file`, the content of the file `path`, is instead of safetensors, and what to do, as the end of a
/// sentence that begins with the path: "is a Git LFS pointer; ...". None if it may be safetensors or if the format is
/// unknown. Reads only the first bytes.
std::optional<std::string> explain_foreign_format(std::span<const std::byte> file, std::string_view path);

}  // namespace trainyard
