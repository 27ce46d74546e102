/// The JSON of a safetensors header, event by event, so that nothing but what the format allows is ever built.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "checkpoint/safetensors.h"

namespace trainyard::safetensors {

/// Parses the header's text, which begins `offset` bytes into the file `path`. Fills tensors and metadata; the caller
/// checks how the tensors cover the data. Throws RunError as parse_header does.
Header parse_json(std::string_view text, std::size_t offset, std::string_view path);

/// Text from a file, in quotes, as it is safe to show: printable() of at most 80 bytes.
std::string in_quotes(std::string_view text);

}  // namespace trainyard::safetensors
