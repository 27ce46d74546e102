/// Facts as JSON, so that a person can send the state of a machine to another.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "check/facts.h"

namespace trainyard {

/// The version of the layout, "schema" in the file. Any change of a key's name, type or meaning raises it.
inline constexpr int facts_schema = 4;

/// Every field of the facts under its name; `Limit` none and numbers that are not finite are null.
nlohmann::json facts_to_json(const Facts& facts);
nlohmann::json needs_to_json(const Needs& needs);
nlohmann::json probe_to_json(const ProbeFacts& probe);

/// What a file said.
struct Recorded {
  Facts facts;
  std::optional<Needs> needs;  ///< where it was the whole result of a check
};

/// The opposite. `text` is not trusted: UsageError with the place ("facts.host.cores") and what is wrong, for text that
/// is no JSON or JSON of another kind, another schema, a missing key, a wrong type, a number out of range, control
/// characters in a string, more than 4 MiB, lists of over 1024 elements, or nesting deeper than the facts'. `name` is
/// what the text is called in errors.
/// The text may also be a whole result of `trainyard check --json`, of which "facts" and "needs" are then read.
Recorded recorded_from_json(std::string_view text, const std::string& name = "the facts");
/// Reads one line of a probe's process. Throws UsageError as above.
ProbeFacts probe_from_json(std::string_view text);

}  // namespace trainyard
