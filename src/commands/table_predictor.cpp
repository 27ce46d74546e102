#include "commands/table_predictor.h"

#include <utility>

#include "loader_torch/slot_tensors.h"
#include "util/error.h"
#include "util/log.h"
#include "util/output.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr std::size_t batch_size = 32;

}  // namespace

void TablePredictor::predict_table(const std::string& path) {
  try {
    CsvReader file(path);
    std::vector<ColumnReader> columns = columns_of(file);
    predict_rows_of(file, columns);
    for (const ColumnReader& reader : columns) {
      const std::string unknown = reader.unknown_categories();
      if (!unknown.empty()) log_warning("[predict] {}: {}", path, unknown);
    }
  } catch (const OutputError&) {  // not an error of the file
    throw;
  } catch (const Error& error) {
    writer_.refuse_file(path, error.what());
    flush_output();
  }
}

std::vector<ColumnReader> TablePredictor::columns_of(const CsvReader& file) const {
  std::vector<ColumnReader> columns;
  for (const Field& field : fields_) columns.emplace_back(file, field);
  return columns;
}

// A row that cannot be read does not end the file. Text that is not CSV does, after the rows before it.
void TablePredictor::predict_rows_of(CsvReader& file, std::vector<ColumnReader>& columns) {
  std::vector<Row> rows;
  const auto has_next = [&] {
    try {
      return file.next();
    } catch (const RunError&) {
      predict_rows(rows);
      throw;
    }
  };
  bool has_rows = false;
  while (has_next()) {
    has_rows = true;
    rows.push_back(read_row(file, columns));
    if (rows.size() == batch_size) predict_rows(std::exchange(rows, {}));
  }
  if (!has_rows) throw RunError("predict", "{} has no rows after its header", printable(file.path()));
  predict_rows(rows);
}

TablePredictor::Row TablePredictor::read_row(const CsvReader& file, std::vector<ColumnReader>& columns) const {
  Row row{.name = file.place(), .elements = {}, .error = ""};
  try {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      columns[i].read(file, row.elements.emplace_back(fields_[i].bytes()));
    }
  } catch (const RunError& error) {
    row.error = error.what();
  }
  return row;
}

void TablePredictor::predict_rows(const std::vector<Row>& rows) {
  DeviceBatch raw{.fields = {}, .number = 0, .count = 0};
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    const at::ScalarType dtype = scalar_type(fields_[i].dtype);
    std::vector<at::Tensor> elements;
    for (const Row& row : rows) {
      if (!row.error.empty()) continue;
      elements.push_back(at::from_blob(const_cast<std::byte*>(row.elements[i].data()), fields_[i].shape, dtype));
    }
    raw.count = std::ssize(elements);
    if (raw.count > 0) {
      raw.fields.push_back({.name = fields_[i].name, .data = at::stack(elements).to(predict_.device())});
    }
  }
  write_answers(rows, raw.count == 0 ? Predictions() : predict_(raw), writer_);
  flush_output();
}

}  // namespace trainyard
