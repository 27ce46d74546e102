/// Makes the texts of the facts safe to show: they come from outside, e.g. names of cards and libraries, environment
/// variables, messages of other programs, files from anywhere.
#pragma once

#include "check/facts.h"

namespace trainyard {

/// Applies `printable` to every text in the facts, so that whatever is derived from them can be shown on a terminal.
Facts printable_facts(Facts facts);

/// The same for the needs.
Needs printable_needs(Needs needs);

}  // namespace trainyard
