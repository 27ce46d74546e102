/// Fits a page of the documentation to the terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace trainyard {

/// `markdown` with its paragraphs and list items wrapped to `columns`. Headings, tables, code and comments stay as they
/// are.
std::string fitted_page(std::string_view markdown, std::size_t columns);

}  // namespace trainyard
