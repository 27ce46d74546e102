// Tables: <data.root>/train.csv and, if present, val.csv and test.csv. Columns are matched by the names in each file's
// header. data.csv.target or data.csv.label names the column to predict; the others are inputs.
//
// A column is numeric if train.csv has a number in each row, and categorical if it has a number in no row or is named
// in data.csv.categorical. A mixture is refused with the line numbers, because it is usually a missing value. Means,
// deviations and categories are computed from the training rows; without a val.csv, data.val of the rows are taken out
// first.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <unordered_map>

#include <fmt/ranges.h>

#include "config/component.h"
#include "datasets/column_reader.h"
#include "datasets/csv_reader.h"
#include "datasets/dataset.h"
#include "datasets/fingerprint.h"
#include "datasets/locate.h"
#include "datasets/split_names.h"
#include "datasets/validation_split.h"
#include "util/error.h"
#include "util/nearest.h"
#include "util/printable.h"
#include "util/text_lines.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_categories = 65'536;  // per column: more are probably an identifier or free text

struct CsvSettings {
  std::vector<std::string> target;
  std::string label;
  std::vector<std::string> categorical;
  std::vector<std::string> ignore;

  void declare(SettingTable& table) {
    table.add("target", target, "columns of numbers to predict, for the task regression", Resume::fixed);
    table.add("label", label, "column of the class to predict, for the task classification", Resume::fixed);
    table.add("categorical", categorical, "columns whose numbers are categories; columns of text always are",
              Resume::fixed);
    table.add("ignore", ignore, "columns to leave out, e.g. row numbers", Resume::fixed);
  }
  void validate() const {
    if (target.empty() == label.empty()) {
      throw UsageError("data.csv",
                       "{}: name the columns to be predicted, with data.csv.target if they are numbers and "
                       "with data.csv.label if it is a class",
                       target.empty() ? "nothing is to be predicted" : "both target and label are set");
    }
  }
};
const ComponentSettings<CsvSettings> settings{"data.csv", {"csv"}, __FILE__};

enum class Role : std::uint8_t { undecided, numeric, categorical, target, label, ignored };

/// A column of train.csv with the values of all rows.
struct TrainColumn {
  std::string name;
  Role role = Role::undecided;
  std::size_t decided_line = 0;  ///< line of the first value, which decides whether the column is numeric
  std::size_t empty_line = 0;    ///< line of a row without a value; 0: there is none
  std::vector<double> numbers{};
  std::vector<std::uint32_t> values{};  ///< indices in `categories`
  std::vector<std::string> categories{};
  std::unordered_map<std::string, std::uint32_t> known{};

  void add_category(std::string_view field) {
    const std::string text(trimmed(field));
    const auto [value, is_new] = known.emplace(text, static_cast<std::uint32_t>(categories.size()));
    if (is_new) categories.push_back(text);
    values.push_back(value->second);
  }
};

/// All of train.csv.
class TrainTable {
 public:
  TrainTable(const std::string& path, const CsvSettings& config) : config_(config) {
    CsvReader file(path);
    for (const std::string& name : file.header()) columns_.push_back({.name = name});
    assign_roles(file);
    for (; file.next(); ++rows_) {
      for (std::size_t i = 0; i < columns_.size(); ++i) add(columns_[i], file.fields()[i], file);
    }
    if (rows_ == 0) throw RunError(path, "there is a header and no row: add rows to train on");
    for (TrainColumn& column : columns_) {
      if (column.role == Role::undecided) column.role = Role::ignored;  // empty in every row
    }
  }

  std::size_t rows() const { return rows_; }

  /// The class of each row; 0 for a regression.
  std::vector<std::uint64_t> strata() const {
    if (const TrainColumn* const label = label_column()) return {label->values.begin(), label->values.end()};
    return std::vector<std::uint64_t>(rows_);
  }

  /// Returns the fields with the statistics of the rows `train`. Throws UsageError if there is no input column.
  std::vector<Field> fields(std::span<const std::uint64_t> train, const std::string& path) const {
    Field numeric{.name = "numeric", .dtype = DType::float32};
    Field categorical{.name = "categorical", .dtype = DType::int64, .values = ValueRange{0}};
    Field target{.name = "target", .dtype = DType::float64};
    for (const TrainColumn& column : columns_) {
      if (column.role == Role::numeric) numeric.columns.push_back(statistics(column, train));
      if (column.role != Role::categorical) continue;
      categorical.columns.push_back({.name = column.name, .categories = sorted_categories(column, train)});
      categorical.values->count += values_of(categorical.columns.back());
    }
    for (const std::string& name : config_.target) target.columns.push_back(statistics(find(name), train));
    std::vector<Field> fields;
    for (Field* const field : {&numeric, &categorical, &target}) {
      if (field->columns.empty()) continue;
      field->shape = {std::ssize(field->columns)};
      fields.push_back(std::move(*field));
    }
    if (fields.empty() || fields.front().name == "target") {
      throw UsageError("data.csv", "{} has no column to predict from: all are predicted, ignored or empty", path);
    }
    if (label_column() != nullptr) fields.push_back(label_field(class_names(train).size()));
    return fields;
  }

  /// The classes of the rows `train`, sorted; empty for a regression.
  std::vector<std::string> class_names(std::span<const std::uint64_t> train) const {
    return label_column() == nullptr ? std::vector<std::string>() : sorted_categories(*label_column(), train);
  }

 private:
  const TrainColumn& find(const std::string& name) const {
    return *std::find_if(columns_.begin(), columns_.end(), [&](const TrainColumn& c) { return c.name == name; });
  }
  const TrainColumn* label_column() const { return config_.label.empty() ? nullptr : &find(config_.label); }

  void assign_roles(const CsvReader& file) {
    const auto assign = [&](const char* setting, const std::string& name, Role role) {
      const std::optional<std::size_t> place = file.column(name);
      if (!place) {
        throw UsageError(setting, "{} has no column '{}'; it has, nearest first: {}", file.path(), printable(name),
                         printable(fmt::format("{}", fmt::join(nearest_first(name, file.header()), ", "))));
      }
      TrainColumn& column = columns_[*place];
      if (column.role != Role::undecided) {
        throw UsageError(setting, "the column '{}' is named twice in data.csv.*: it can be one thing only",
                         printable(name));
      }
      column.role = role;
    };
    for (const std::string& name : config_.target) assign("data.csv.target", name, Role::target);
    if (!config_.label.empty()) assign("data.csv.label", config_.label, Role::label);
    for (const std::string& name : config_.categorical) assign("data.csv.categorical", name, Role::categorical);
    for (const std::string& name : config_.ignore) assign("data.csv.ignore", name, Role::ignored);
  }

  void add(TrainColumn& column, const std::string& text, const CsvReader& file) const {
    if (column.role == Role::ignored) return;
    const bool is_empty = trimmed(text).empty();
    if (is_empty && column.empty_line == 0) column.empty_line = file.line();
    if (column.role == Role::undecided && is_empty) return;
    if (column.role == Role::label && is_empty) {
      throw RunError(file.place(), "the column '{}' has no class: fill it in or leave the row out",
                     printable(column.name));
    }
    const std::optional<double> number = number_in(text);
    if (column.role == Role::undecided) decide(column, number.has_value(), file);
    switch (column.role) {
      case Role::numeric:
      case Role::target:
        if (!number) refuse_text(column, text, file);
        return column.numbers.push_back(*number);
      default:
        if (number && column.decided_line != 0) refuse_number(column, text, file);
        column.add_category(text);
        if (column.categories.size() > max_categories) {
          throw RunError(file.place(), "the column '{}' has more than {} categories: name it in data.csv.ignore",
                         printable(column.name), max_categories);
        }
    }
  }

  // Decides by the first value; the rows before it are empty.
  void decide(TrainColumn& column, bool is_number, const CsvReader& file) const {
    column.role = is_number ? Role::numeric : Role::categorical;
    column.decided_line = file.line();
    if (rows_ > 0 && is_number) refuse_text(column, "", file, column.empty_line);
    for (std::size_t row = 0; row < rows_; ++row) column.add_category("");
  }

  [[noreturn]] static void refuse_text(const TrainColumn& column, const std::string& text, const CsvReader& file,
                                       std::size_t line = 0) {
    const bool is_target = column.role == Role::target;
    throw RunError(fmt::format("{}:{}", printable(file.path()), line == 0 ? file.line() : line),
                   "the column '{}' has {}, and {}: correct the row or leave it out{}", printable(column.name),
                   text.empty() ? "no value" : fmt::format("'{}', which is not a number", printable(text, 60)),
                   is_target ? "is to be predicted" : fmt::format("a number in line {}", column.decided_line),
                   is_target ? "" : ", or name the column in data.csv.categorical or data.csv.ignore");
  }

  [[noreturn]] static void refuse_number(const TrainColumn& column, const std::string& text, const CsvReader& file) {
    throw RunError(file.place(),
                   "the column '{}' has the number {}, and text in line {}: correct one of them, or name the column in "
                   "data.csv.categorical or data.csv.ignore",
                   printable(column.name), printable(text, 60), column.decided_line);
  }

  // Population statistics, as in scikit-learn's StandardScaler; the deviation of a constant column is set to 1.
  static Column statistics(const TrainColumn& column, std::span<const std::uint64_t> rows) {
    const auto mean_of = [&](const auto& value) {
      double sum = 0;
      for (const std::uint64_t row : rows) sum += value(column.numbers[row]);
      return sum / static_cast<double>(rows.size());
    };
    const double mean = mean_of([](double x) { return x; });
    const double std = std::sqrt(mean_of([mean](double x) { return (x - mean) * (x - mean); }));
    if (!std::isfinite(std)) {
      throw RunError("csv", "the numbers of the column '{}' are too large for a mean and a deviation: scale them",
                     printable(column.name));
    }
    const double smallest = 1e-12 * std::max(1.0, std::abs(mean));
    return {.name = column.name, .mean = mean, .std = std > smallest ? std : 1};
  }

  static std::vector<std::string> sorted_categories(const TrainColumn& column, std::span<const std::uint64_t> rows) {
    std::vector<bool> occurs(column.categories.size());
    for (const std::uint64_t row : rows) occurs[column.values[row]] = true;
    std::vector<std::string> categories;
    for (std::size_t i = 0; i < occurs.size(); ++i) {
      if (occurs[i]) categories.push_back(column.categories[i]);
    }
    std::sort(categories.begin(), categories.end());
    return categories;
  }

  const CsvSettings& config_;
  std::vector<TrainColumn> columns_;
  std::size_t rows_ = 0;
};

class Csv final : public Dataset {
 public:
  /// Reads the rows of `path` for which `rows` is true, or all if it is empty.
  Csv(const std::string& path, std::vector<Field> fields, std::vector<std::string> class_names,
      const std::string& label, const std::vector<bool>& rows, bool from_train)
      : path_(path),
        fields_(std::move(fields)),
        class_names_(std::move(class_names)),
        from_train_(from_train),
        columns_(fields_.size()) {
    CsvReader file(path);
    std::vector<ColumnReader> readers;
    for (const Field& field : fields_) {
      if (!field.columns.empty()) readers.emplace_back(file, field);
    }
    const std::size_t label_place = label.empty() ? 0 : required_column(file, label);
    for (std::size_t row = 0; file.next(); ++row) {
      if (!rows.empty() && (row >= rows.size() || !rows[row])) continue;
      lines_.push_back(file.line());
      for (std::size_t i = 0; i < fields_.size(); ++i) {
        std::vector<std::byte>& column = columns_[i];
        column.resize(column.size() + fields_[i].bytes());
        const std::span<std::byte> out = std::span(column).last(fields_[i].bytes());
        if (i < readers.size()) {
          readers[i].read(file, out);
        } else {
          const std::int64_t value = class_of(file, label_place);
          std::memcpy(out.data(), &value, sizeof value);
        }
      }
    }
    if (lines_.empty()) throw RunError(path, "there is no row: add rows, or remove the file");
    for (const ColumnReader& reader : readers) warning_ += reader.unknown_categories();  // one field has categories
  }

  std::size_t size() const override { return lines_.size(); }
  const std::vector<Field>& fields() const override { return fields_; }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  bool is_taken_from_train() const override { return from_train_; }
  std::string warning() const override { return warning_; }
  std::string name(std::size_t index) const override { return fmt::format("{}:{}", path_, lines_[index]); }

  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      const std::span<std::byte> out = sample.elements(i);
      std::memcpy(out.data(), columns_[i].data() + index * out.size(), out.size());
    }
  }

  std::optional<std::uint64_t> stratum(std::size_t index) const override {
    return class_names_.empty() ? std::nullopt : std::optional(label_of(index));
  }
  std::vector<std::uint64_t> class_counts() const override {
    std::vector<std::uint64_t> counts(class_names_.size());
    for (std::size_t i = 0; i < size() && !counts.empty(); ++i) ++counts[label_of(i)];
    return counts;
  }

  std::uint64_t fingerprint() const override {
    std::uint64_t key = key_of({key_of("csv"), size()});
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      key = trainyard::fingerprint(key, columns_[i]);
      for (const Column& column : fields_[i].columns) {
        key = key_of({key, key_of(column.name)});
        for (const std::string& category : column.categories) key = key_of({key, key_of(category)});
      }
    }
    for (const std::string& name : class_names_) key = key_of({key, key_of(name)});
    return key;
  }

 private:
  static std::size_t required_column(const CsvReader& file, const std::string& name) {
    if (const std::optional<std::size_t> place = file.column(name)) return *place;
    throw RunError(file.path(), "there is no column '{}', which has the class to be predicted", printable(name));
  }

  std::uint64_t label_of(std::size_t index) const {
    std::uint64_t label = 0;
    std::memcpy(&label, columns_.back().data() + index * sizeof label, sizeof label);
    return label;
  }

  std::int64_t class_of(const CsvReader& file, std::size_t place) const {
    const std::string_view name = trimmed(file.fields()[place]);
    const auto found = std::lower_bound(class_names_.begin(), class_names_.end(), name);
    if (found != class_names_.end() && *found == name) return found - class_names_.begin();
    throw RunError(file.place(), "the class '{}' is in no row that is trained on: correct it or leave the row out",
                   printable(name, 60));
  }

  std::string path_;
  std::vector<Field> fields_;
  std::vector<std::string> class_names_;
  bool from_train_;
  std::vector<std::vector<std::byte>> columns_;  ///< for each field the elements of all rows
  std::vector<std::size_t> lines_;               ///< lines on which the rows begin
  std::string warning_;
};

std::unique_ptr<Dataset> make_csv(const DataConfig& config, Split split) {
  const fs::path root = root_folder(config.root, "data/csv");
  const auto path_of = [&](Split one) { return (root / fmt::format("{}.csv", to_string(one))).string(); };
  const auto exists = [&](Split one) {
    std::error_code ignored;  // opening it reports the error
    if (fs::symlink_status(path_of(one), ignored).type() != fs::file_type::not_found) return true;
    refuse_misnamed_split(root, one, ".csv");
    return false;
  };
  if (!exists(Split::train)) {
    throw UsageError("data.root", "there is no file {}; set data.root to the folder of train.csv",
                     path_of(Split::train));
  }
  if (split == Split::test && !exists(split)) return nullptr;
  const CsvSettings& own = settings.in(config);
  const TrainTable table(path_of(Split::train), own);
  std::vector<std::uint64_t> train(table.rows());
  std::iota(train.begin(), train.end(), 0);
  const bool is_divided = !exists(Split::val);
  if (is_divided) train = take_validation(table.strata(), config.val, config.val_seed).train;
  std::vector<bool> rows;
  if (is_divided && split != Split::test) {
    rows.resize(table.rows(), split == Split::val);
    for (const std::uint64_t row : train) rows[row] = split == Split::train;
  }
  const bool from_train = is_divided && split == Split::val;
  return std::make_unique<Csv>(path_of(from_train ? Split::train : split), table.fields(train, path_of(Split::train)),
                               table.class_names(train), own.label, rows, from_train);
}

const DatasetRegistry::Registration registered{
    "csv", "tables: <data.root>/train.csv, val.csv, test.csv; columns are found by name", make_csv, __FILE__};

}  // namespace
}  // namespace trainyard
