/// Predicts the rows of CSV files, for `trainyard predict`.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "commands/prediction_writer.h"
#include "commands/predictor.h"
#include "datasets/column_reader.h"
#include "datasets/csv_reader.h"

namespace trainyard {

class TablePredictor {
 public:
  /// REQUIRES that the fields have columns. `predict` and `writer` must outlive it.
  TablePredictor(const Predictor& predict, PredictionWriter& writer)
      : predict_(predict), writer_(writer), fields_(predict.fields()) {}

  /// Writes an answer for each row of a file, or why the file cannot be read. Throws what the writer throws.
  void predict_table(const std::string& path);

 private:
  /// The elements of each field, or why they cannot be read.
  struct Row {
    std::string name;
    std::vector<std::vector<std::byte>> elements;
    std::string error;
  };

  std::vector<ColumnReader> columns_of(const CsvReader& file) const;
  void predict_rows_of(CsvReader& file, std::vector<ColumnReader>& columns);
  Row read_row(const CsvReader& file, std::vector<ColumnReader>& columns) const;
  void predict_rows(const std::vector<Row>& rows);

  const Predictor& predict_;
  PredictionWriter& writer_;
  std::vector<Field> fields_;
};

}  // namespace trainyard
