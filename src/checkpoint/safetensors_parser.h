/// Parses the JSON of a safetensors header event by event, so that nothing is built that the format does not allow.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "checkpoint/safetensors.h"

namespace trainyard::safetensors {

/// Parses the header's text, which begins at offset `offset` of the file `path`. Fills tensors and metadata; the caller
/// checks how the tensors cover the data. Throws RunError like parse_header.
Header parse_json(std::string_view text, std::size_t offset, std::string_view path);

/// Text from a file in quotes, safe to show: printable(), at most 80 bytes.
std::string in_quotes(std::string_view text);

}  // namespace trainyard::safetensors
