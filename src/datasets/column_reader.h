/// The rows of a CSV file as fields of samples, for datasets and for predict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "datasets/csv_reader.h"
#include "datasets/field.h"

namespace trainyard {

/// The finite number that `text` is, with spaces around it or not; none if it is anything else.
std::optional<double> number_in(std::string_view text);

/// Reads one field of each row: of float32 numbers, standardized by Column::mean and std if the field is "numeric" and
/// as they are otherwise; of int64 the values of categories, as Column::categories has them. Immutable.
class ColumnReader {
 public:
  /// REQUIRES that the field has columns, and is of float32 or int64. Throws RunError that names the file's header and
  /// a column that it does not have.
  ColumnReader(const CsvReader& file, const Field& field);

  /// Fills `out`, of Field::bytes(), from the row that `file` has read. Throws RunError with its place if a number is
  /// missing or is none.
  void read(const CsvReader& file, std::span<std::byte> out) const;

 private:
  Field field_;
  std::vector<std::size_t> places_;                                        ///< of the columns in a row
  std::vector<std::unordered_map<std::string, std::int64_t>> categories_;  ///< of int64: a map for each column
  std::vector<std::int64_t> begins_;                                       ///< of int64: the columns' first values
};

}  // namespace trainyard
