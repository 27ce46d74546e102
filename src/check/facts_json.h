/// Converts facts to and from JSON, so that the state of a machine can be sent to someone else.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "check/facts.h"

namespace trainyard {

/// The version of the layout, "schema" in the file. Any change to a key's name, type or meaning increments it.
inline constexpr int facts_schema = 5;

/// Every field of the facts under its name; an unlimited `Limit` and non-finite numbers are null.
nlohmann::json facts_to_json(const Facts& facts);
nlohmann::json needs_to_json(const Needs& needs);
nlohmann::json probe_to_json(const ProbeFacts& probe);

/// The content of a file.
struct Recorded {
  Facts facts;
  std::optional<Needs> needs;  ///< if it was the complete result of a check
};

/// The inverse. `text` is not trusted: throws UsageError with the location ("facts.host.cores") and what is wrong if it
/// is not JSON of this kind, has another schema, a missing key, a wrong type, a number out of range, control characters
/// in a string, more than 4 MiB, lists of over 1024 elements, or deeper nesting than facts have. `name` is what errors
/// call the text. The text may also be a complete result of `trainyard check --json`, of which "facts" and "needs" are
/// read.
Recorded recorded_from_json(std::string_view text, const std::string& name = "the facts");
/// Reads one line from a probe process. Throws UsageError as above.
ProbeFacts probe_from_json(std::string_view text);

}  // namespace trainyard
