/// Reads CSV files (RFC 4180) row by row.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

/// The rows of a CSV file in order. The first line is the header: names that are neither empty nor repeated. Fields are
/// separated by commas and may be quoted ("a, ""b"""); spaces belong to a field. Lines end with \n or \r\n; empty lines
/// are skipped, and a byte order mark is dropped. Not thread-safe.
///
/// Throws RunError `[path:line] ...` for text that is not UTF-8 or contains a NUL byte, for a row with more or fewer
/// fields than the header, for quotes that RFC 4180 does not allow, and if a limit is exceeded.
class CsvReader {
 public:
  static constexpr std::size_t max_file_bytes = std::size_t{1} << 30;
  static constexpr std::size_t max_field_bytes = std::size_t{1} << 20;
  static constexpr std::size_t max_columns = std::size_t{1} << 16;

  /// Reads the whole file into memory and parses its header.
  explicit CsvReader(const std::string& path);
  /// The same for `text`, which errors call `path`.
  CsvReader(std::string text, std::string path);

  const std::string& path() const { return path_; }
  const std::vector<std::string>& header() const { return header_; }
  /// Returns the index of the column `name` in each row; nullopt if there is no such column.
  std::optional<std::size_t> column(std::string_view name) const;

  /// Reads the next row; returns false at the end.
  bool next();
  /// The current row: one field per column. Valid until next() is called again.
  const std::vector<std::string>& fields() const { return fields_; }
  /// The line on which the current row begins, from 1.
  std::size_t line() const { return row_line_; }
  /// "path:line" of the current row, for errors.
  std::string place() const;

 private:
  bool read_row();
  void read_field(std::string& field);
  void read_quoted(std::string& field);
  bool at_line_end() const;
  void skip_line_end();

  std::string text_;
  std::string path_;
  std::size_t position_ = 0;
  std::size_t line_ = 1;
  std::size_t row_line_ = 1;
  std::vector<std::string> header_;
  std::vector<std::string> fields_;
};

}  // namespace trainyard
