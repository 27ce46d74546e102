/// The pages of docs/, compiled into the program, for `trainyard help TOPIC`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

/// The pages' names without ".md", sorted.
std::vector<std::string> help_topics();

/// The text of the page in docs/; empty if there is none.
std::string_view help_page(const std::string& topic);

}  // namespace trainyard
