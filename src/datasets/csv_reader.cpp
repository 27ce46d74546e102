#include "datasets/csv_reader.h"

#include <algorithm>
#include <unordered_map>

#include "util/count_of.h"
#include "util/error.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {
namespace {

constexpr const char* where = "csv";
constexpr std::size_t shown_bytes = 60;  // maximum bytes of a field in an error

template <typename... Args>
[[noreturn]] void refuse(const std::string& path, std::size_t line, fmt::format_string<Args...> format,
                         Args&&... args) {
  throw RunError(fmt::format("{}:{}", printable(path), line), "{}", fmt::format(format, std::forward<Args>(args)...));
}

std::size_t line_of(std::string_view text, std::size_t position) {
  return 1 +
         static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
}

void require_text(std::string_view text, const std::string& path) {
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    refuse(path, line_of(text, nul), "there is a NUL byte: it is no CSV file, or one in UTF-16; save it as UTF-8");
  }
  if (const std::size_t valid = valid_utf8_prefix(text); valid < text.size()) {
    refuse(path, line_of(text, valid), "the byte 0x{:02x} is not UTF-8: save the file as UTF-8",
           static_cast<unsigned char>(text[valid]));
  }
}

void require_names(const std::vector<std::string>& header, const std::string& path, std::size_t line) {
  if (header.size() == 1 && header[0].find_first_of(";\t") != std::string::npos) {
    refuse(path, line, "the header has no comma, '{}': separate columns by commas, not by semicolons or tabs",
           printable(header[0], shown_bytes));
  }
  std::unordered_map<std::string_view, std::size_t> places;
  for (std::size_t i = 0; i < header.size(); ++i) {
    if (header[i].empty()) {
      refuse(path, line, "column {} has no name: give each column one, or leave out a column of row numbers", i + 1);
    }
    const auto [known, is_new] = places.emplace(header[i], i);
    if (!is_new) {
      refuse(path, line, "columns {} and {} are both named '{}': give each column its own name", known->second + 1,
             i + 1, printable(header[i], shown_bytes));
    }
  }
}

}  // namespace

CsvReader::CsvReader(const std::string& path) : CsvReader(read_text_file(path, where, max_file_bytes), path) {}

CsvReader::CsvReader(std::string text, std::string path) : text_(std::move(text)), path_(std::move(path)) {
  require_text(text_, path_);
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text_.starts_with(byte_order_mark)) position_ = byte_order_mark.size();
  if (!read_row()) refuse(path_, 1, "there is no line: the first one names the columns");
  header_ = std::move(fields_);
  require_names(header_, path_, row_line_);
}

std::optional<std::size_t> CsvReader::column(std::string_view name) const {
  const auto found = std::find(header_.begin(), header_.end(), name);
  return found == header_.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - header_.begin()));
}

std::string CsvReader::place() const { return fmt::format("{}:{}", printable(path_), row_line_); }

bool CsvReader::next() {
  if (!read_row()) return false;
  if (fields_.size() == header_.size()) return true;
  refuse(path_, row_line_, "the row has {}, the header {}: quote a field that has a comma in it",
         count_of(fields_.size(), "field"), count_of(header_.size(), "column"));
}

bool CsvReader::read_row() {
  while (position_ < text_.size() && at_line_end()) skip_line_end();
  if (position_ == text_.size()) return false;
  row_line_ = line_;
  std::size_t count = 0;
  for (;;) {
    if (count == max_columns) refuse(path_, row_line_, "the row has more than {} fields", max_columns);
    if (fields_.size() == count) fields_.emplace_back();
    read_field(fields_[count++]);
    if (position_ == text_.size()) break;
    if (text_[position_] != ',') {
      skip_line_end();
      break;
    }
    ++position_;
  }
  fields_.resize(count);
  return true;
}

// Stops at a comma, the end of the line or the end of the text.
void CsvReader::read_field(std::string& field) {
  if (position_ < text_.size() && text_[position_] == '"') return read_quoted(field);
  const std::size_t end = std::min(text_.find_first_of(",\"\r\n", position_), text_.size());
  field.assign(text_, position_, end - position_);
  if (field.size() > max_field_bytes) {
    refuse(path_, line_, "a field has {} bytes; allowed: {}", field.size(), max_field_bytes);
  }
  position_ = end;
  if (end == text_.size() || text_[end] == ',' || at_line_end()) return;
  if (text_[end] == '"') {
    refuse(path_, line_,
           "there is a quote inside of the field '{}': put the whole field in quotes and write \"\" in it",
           printable(field, shown_bytes));
  }
  refuse(path_, line_, "there is a carriage return without a line feed: end lines with \\n or \\r\\n");
}

void CsvReader::read_quoted(std::string& field) {
  const std::size_t first_line = line_;
  field.clear();
  for (++position_;; ++position_) {
    const std::size_t end = text_.find('"', position_);
    if (end == std::string::npos) refuse(path_, first_line, "a quote is not closed before the file ends");
    if (field.size() + (end - position_) > max_field_bytes) {
      refuse(path_, first_line, "a field has more than {} bytes: is the quote at its end missing?", max_field_bytes);
    }
    const std::string_view part = std::string_view(text_).substr(position_, end - position_);
    field += part;
    line_ += static_cast<std::size_t>(std::count(part.begin(), part.end(), '\n'));
    position_ = end + 1;
    if (position_ == text_.size() || text_[position_] == ',' || at_line_end()) return;
    if (text_[position_] != '"') {
      refuse(path_, line_, "text follows the quote that ends the field '{}': write a quote inside of a field as \"\"",
             printable(field, shown_bytes));
    }
    field += '"';
  }
}

// REQUIRES that the position is not at the end of the text.
bool CsvReader::at_line_end() const {
  return text_[position_] == '\n' || (text_[position_] == '\r' && text_.compare(position_, 2, "\r\n") == 0);
}

void CsvReader::skip_line_end() {
  position_ += text_[position_] == '\r' ? 2 : 1;
  ++line_;
}

}  // namespace trainyard
