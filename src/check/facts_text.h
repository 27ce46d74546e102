/// Texts of the facts are foreign: names of cards and libraries, variables, words of other programs, files from
/// anywhere.
#pragma once

#include "check/facts.h"

namespace trainyard {

/// Every text in the facts as `printable` makes it, so that whatever is made of them can be shown on a terminal.
Facts printable_facts(Facts facts);

/// The same of the needs.
Needs printable_needs(Needs needs);

}  // namespace trainyard
