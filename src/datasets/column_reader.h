/// Converts the rows of a CSV file to fields of samples, for datasets and for predict.
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

/// Parses a finite number, which may be surrounded by spaces; nullopt if `text` is anything else.
std::optional<double> number_in(std::string_view text);

/// Reads one field of each row. float32 values are standardized by Column::mean and std, float64 values are
/// unchanged, and int64 values are categories without the spaces around them, numbered as in Column::categories.
class ColumnReader {
 public:
  /// REQUIRES that the field has columns and is of float32, float64 or int64. Throws RunError naming the file's header
  /// and a column that is missing from it.
  ColumnReader(const CsvReader& file, const Field& field);

  /// Fills `out`, of Field::bytes(), from the current row of `file`. Throws RunError with its position if a number is
  /// missing or malformed.
  void read(const CsvReader& file, std::span<std::byte> out);

  /// One line on the categories read so far that train lacks: "the column 'k' has 3 of 5 rows with values that train
  /// lacks, e.g. '1.0'; they count as unknown". Empty if there are none.
  std::string unknown_categories() const;

 private:
  /// Values of a column that are none of its categories.
  struct Unknown {
    std::uint64_t rows = 0;
    std::string first{};
  };

  Field field_;
  std::vector<std::size_t> places_;                                        ///< index of each column in a row
  std::vector<std::unordered_map<std::string, std::int64_t>> categories_;  ///< for int64: a map for each column
  std::vector<std::int64_t> begins_;                                       ///< for int64: the columns' first values
  std::vector<Unknown> unknown_;                                           ///< for int64: of each column
  std::uint64_t rows_ = 0;                                                 ///< read so far
};

}  // namespace trainyard
