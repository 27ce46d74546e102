#include "datasets/column_reader.h"

#include <cfloat>
#include <charconv>
#include <cmath>
#include <cstring>

#include "util/error.h"
#include "util/nearest.h"
#include "util/printable.h"
#include "util/text_lines.h"

namespace trainyard {
namespace {

constexpr std::size_t shown_bytes = 60;  // maximum bytes of a value in an error

double number_of(const CsvReader& file, std::size_t place, const Column& column) {
  const std::string& text = file.fields()[place];
  const std::optional<double> number = number_in(text);
  if (!number) {
    throw RunError(file.place(), "the column '{}' has '{}', which is not a number: correct it", printable(column.name),
                   printable(text, shown_bytes));
  }
  return *number;
}

float standardized_number_of(const CsvReader& file, std::size_t place, const Column& column) {
  const double value = (number_of(file, place, column) - column.mean) / column.std;
  if (std::abs(value) > FLT_MAX) {
    throw RunError(file.place(), "the column '{}' has {}, which is too large for float32 once it is standardized",
                   printable(column.name), printable(file.fields()[place], shown_bytes));
  }
  return static_cast<float>(value);
}

template <typename T>
void write_element(std::span<std::byte> out, std::size_t index, T value) {
  std::memcpy(out.data() + index * sizeof value, &value, sizeof value);
}

}  // namespace

std::optional<double> number_in(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

ColumnReader::ColumnReader(const CsvReader& file, const Field& field) : field_(field) {
  std::int64_t begin = 0;
  for (const Column& column : field.columns) {
    const std::optional<std::size_t> place = file.column(column.name);
    if (!place) {
      throw RunError(file.path(), "there is no column '{}'; the header has, nearest first: {}", printable(column.name),
                     printable(fmt::format("{}", fmt::join(nearest_first(column.name, file.header()), ", "))));
    }
    places_.push_back(*place);
    if (field.dtype != DType::int64) continue;
    begins_.push_back(begin);
    unknown_.emplace_back();
    std::unordered_map<std::string, std::int64_t>& values = categories_.emplace_back();
    for (const std::string& category : column.categories) values.emplace(category, begin + 1 + std::ssize(values));
    begin += values_of(column);
  }
}

void ColumnReader::read(const CsvReader& file, std::span<std::byte> out) {
  ++rows_;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (field_.dtype == DType::float32) {
      write_element(out, i, standardized_number_of(file, places_[i], field_.columns[i]));
    } else if (field_.dtype == DType::float64) {
      write_element(out, i, number_of(file, places_[i], field_.columns[i]));
    } else {
      const std::string category(trimmed(file.fields()[places_[i]]));
      const auto found = categories_[i].find(category);
      const bool is_unknown = found == categories_[i].end();
      write_element(out, i, is_unknown ? begins_[i] : found->second);
      if (is_unknown && unknown_[i].rows++ == 0) unknown_[i].first = category;
    }
  }
}

std::string ColumnReader::unknown_categories() const {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < unknown_.size(); ++i) {
    const auto& [rows, first] = unknown_[i];
    if (rows == 0) continue;
    parts.push_back(fmt::format("the column '{}' has {} of {} rows with values that train lacks, e.g. '{}'",
                                printable(field_.columns[i].name), rows, rows_, printable(first, shown_bytes)));
  }
  return parts.empty() ? "" : fmt::format("{}; they count as unknown", fmt::join(parts, "; "));
}

}  // namespace trainyard
