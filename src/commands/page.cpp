#include "commands/page.h"

#include <algorithm>
#include <cctype>

#include "commands/columns.h"
#include "util/text_lines.h"

namespace trainyard {
namespace {

// The length of a list item's mark with the space behind it, e.g. 2 for "- "; 0: the line begins no item.
std::size_t mark_of(std::string_view text) {
  if (text.starts_with("- ") || text.starts_with("* ")) return 2;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  return digits > 0 && text.substr(digits).starts_with(". ") ? digits + 2 : 0;
}

// Joins the lines of a paragraph or a list item and wraps them.
class Paragraphs {
 public:
  explicit Paragraphs(std::size_t columns) : columns_(columns) {}

  void take(const std::string& line) {
    const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
    const std::string text = line.substr(indent);
    const bool is_fence = text.starts_with("```");
    if (is_fence) in_fence_ = !in_fence_;
    const std::size_t mark = mark_of(text);
    const bool is_code = indent >= indent_ + 4 && (open_.empty() || mark == 0);
    if (in_fence_ || is_fence || is_code || text.empty() || text.find_first_of("|#<") == 0) {
      flush();
      page_ += line + "\n";
      if (!text.empty() && indent == 0) indent_ = 0;
    } else if (mark > 0 || open_.empty()) {
      flush();
      open_ = text;
      begin_ = indent;
      indent_ = indent + mark;
    } else {
      open_ += " " + text;
    }
  }

  std::string page() {
    flush();
    return std::move(page_);
  }

 private:
  void flush() {
    if (open_.empty()) return;
    page_ += std::string(begin_, ' ') + wrapped(open_, indent_, begin_, columns_) + "\n";
    open_.clear();
  }

  std::size_t columns_;
  std::string page_;
  bool in_fence_ = false;
  std::string open_;        // the paragraph so far; empty: none
  std::size_t begin_ = 0;   // columns before its first line
  std::size_t indent_ = 0;  // and before the others
};

}  // namespace

std::string fitted_page(std::string_view markdown, std::size_t columns) {
  Paragraphs paragraphs(columns);
  for (const std::string& line : text_lines(markdown)) paragraphs.take(line);
  return paragraphs.page();
}

}  // namespace trainyard
