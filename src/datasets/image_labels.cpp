// Images with any number of labels, listed in a CSV file per split:
//     <data.root>/train/labels.csv       file,cat,dog         val/labels.csv, test/labels.csv (optional)
//                                        a.jpg,1,0
//                                        town/b.png,1,1
//
// `file` is the path of a JPEG or PNG file relative to the folder of labels.csv; every other column is a label, 0 or 1.
// The splits have the same columns, in any order. Files without a row are not samples.
#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include <fmt/ranges.h>
#include <sys/stat.h>

#include "datasets/csv_reader.h"
#include "datasets/dataset.h"
#include "datasets/file_index.h"
#include "datasets/fingerprint.h"
#include "datasets/locate.h"
#include "datasets/read_file.h"
#include "datasets/split_names.h"
#include "datasets/stored_images.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr const char* file_column = "file";

fs::path root_of(const DataConfig& config) { return root_folder(config.root, "data/image_labels"); }

fs::path csv_of(const DataConfig& config, Split split) { return root_of(config) / to_string(split) / "labels.csv"; }

// Returns "<path>:1", for errors.
std::string header_of(const fs::path& csv) { return fmt::format("{}:1", printable(csv.string())); }

std::size_t place_of_file(const CsvReader& rows, const fs::path& csv) {
  const std::optional<std::size_t> place = rows.column(file_column);
  if (place && rows.header().size() > 1) return *place;
  throw RunError(header_of(csv),
                 "the columns are {}; expected one called 'file' with the paths of the images, and one of 0 and 1 "
                 "for each label",
                 printable(fmt::format("{}", fmt::join(rows.header(), ", "))));
}

std::vector<std::string> labels_of(const CsvReader& rows, const fs::path& csv) {
  std::vector<std::string> names = rows.header();
  names.erase(names.begin() + static_cast<std::ptrdiff_t>(place_of_file(rows, csv)));
  return names;
}

class ImageLabels final : public Dataset {
 public:
  ImageLabels(const DataConfig& config, Split split)
      : options_(image_options(config)), folder_(csv_of(config, split).parent_path()) {
    const fs::path csv = csv_of(config, split);
    CsvReader rows(csv.string());
    if (split == Split::train) {
      class_names_ = labels_of(rows, csv);
    } else {
      const fs::path train = csv_of(config, Split::train);
      class_names_ = labels_of(CsvReader(train.string()), train);
    }
    add_rows(rows, csv);
    fields_ = {{.name = "image", .shape = {1, 1, config.channels}, .is_stored_image = true},
               {.name = "labels", .shape = {static_cast<std::int64_t>(class_names_.size())}, .values = ValueRange{2}}};
    take_size_of_first_image(*this, fields_);
  }

  std::size_t size() const override { return index_.entries.size(); }
  const std::vector<Field>& fields() const override { return fields_; }
  ImageOptions decoding() const override { return options_; }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::vector<float> channel_mean() const override { return usual_mean(fields_[0].shape[2]); }
  std::vector<float> channel_std() const override { return usual_std(fields_[0].shape[2]); }
  std::string name(std::size_t index) const override { return (folder_ / index_.name_of(index)).string(); }
  std::uint64_t fingerprint() const override {
    const std::uint64_t content = trainyard::fingerprint(key_of({index_.fingerprint(), class_names_.size()}), labels_);
    return image_fingerprint(content, fields_[0].shape[2], options_);
  }

  std::vector<std::uint64_t> class_counts() const override {
    std::vector<std::uint64_t> counts(class_names_.size());
    for (std::size_t index = 0; index < size(); ++index) count(index, counts);
    return counts;
  }
  std::vector<std::uint64_t> class_counts_among(std::span<const std::uint64_t> indices) const override {
    std::vector<std::uint64_t> counts(class_names_.size());
    for (const std::uint64_t index : indices) count(index, counts);
    return counts;
  }

  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    sample.store(0, {read_whole_file(name(index), sample.scratch(0))});
    std::ranges::copy(labels_at(index), sample.elements(1).begin());
  }

 private:
  void add_rows(CsvReader& rows, const fs::path& csv) {
    const std::size_t file = place_of_file(rows, csv);
    const std::vector<std::size_t> columns = columns_of_labels(rows, csv);
    std::unordered_map<std::string, std::size_t> lines;  // lines of the files
    while (rows.next()) {
      const std::string name = checked_name(rows.fields()[file], rows);
      const auto [known, is_new] = lines.emplace(name, rows.line());
      if (!is_new) {
        throw RunError(rows.place(), "{} is in line {} already: leave one of the two rows", printable(name),
                       known->second);
      }
      index_.add(name, {.size = size_of_image(name, rows)});
      for (const std::size_t column : columns) labels_.push_back(label_in(column, rows));
    }
    if (size() == 0) throw RunError(header_of(csv), "the header has no rows below it: add one for each image");
  }

  // Returns the column of each label in a row, in the order of class_names_.
  std::vector<std::size_t> columns_of_labels(const CsvReader& rows, const fs::path& csv) const {
    std::vector<std::size_t> columns;
    for (const std::string& name : class_names_) {
      if (const std::optional<std::size_t> column = rows.column(name)) {
        columns.push_back(*column);
        continue;
      }
      throw RunError(header_of(csv),
                     "there is no column '{}', which train/labels.csv has: the splits have the same labels",
                     printable(name));
    }
    if (rows.header().size() == class_names_.size() + 1) return columns;
    const auto unknown = std::find_if(rows.header().begin(), rows.header().end(), [&](const std::string& name) {
      return name != file_column && std::find(class_names_.begin(), class_names_.end(), name) == class_names_.end();
    });
    throw RunError(header_of(csv), "the column '{}' is not in train/labels.csv: the splits have the same labels",
                   printable(*unknown));
  }

  // Returns the normalized path of a file below the split's folder.
  static std::string checked_name(const std::string& field, const CsvReader& rows) {
    const fs::path path = fs::path(field).lexically_normal();
    if (!field.empty() && path.is_relative() && *path.begin() != "..") return path.string();
    throw RunError(rows.place(), "'{}' is not the path of an image in the folder of labels.csv", printable(field));
  }

  std::uint64_t size_of_image(const std::string& name, const CsvReader& rows) const {
    struct stat status{};
    const fs::path path = folder_ / name;
    if (stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) return static_cast<std::uint64_t>(status.st_size);
    throw RunError(rows.place(), "there is no file {}: add it, or remove its row", printable(path.string()));
  }

  static std::byte label_in(std::size_t column, const CsvReader& rows) {
    const std::string& text = rows.fields()[column];
    if (text == "0" || text == "1") return static_cast<std::byte>(text == "1");
    throw RunError(rows.place(), "the label '{}' is '{}'; allowed: 0 or 1", printable(rows.header()[column]),
                   printable(text, 60));
  }

  std::span<const std::byte> labels_at(std::size_t index) const {
    return std::span(labels_).subspan(index * class_names_.size(), class_names_.size());
  }

  void count(std::size_t index, std::vector<std::uint64_t>& counts) const {
    const std::span<const std::byte> labels = labels_at(index);
    for (std::size_t label = 0; label < counts.size(); ++label) {
      counts[label] += std::to_integer<std::uint64_t>(labels[label]);
    }
  }

  ImageOptions options_;
  fs::path folder_;
  std::vector<std::string> class_names_;
  FileIndex index_;
  std::vector<std::byte> labels_;  ///< of all samples, concatenated, 0 or 1
  std::vector<Field> fields_;
};

std::unique_ptr<Dataset> make_image_labels(const DataConfig& config, Split split) {
  const auto is_missing = [](const fs::path& path) {
    std::error_code ignored;  // opening it reports the error
    return fs::symlink_status(path, ignored).type() == fs::file_type::not_found;
  };
  const fs::path csv = csv_of(config, split);
  if (is_missing(csv.parent_path())) {
    refuse_misnamed_split(root_of(config), split, "");
    if (split != Split::train) return nullptr;
  }
  if (!is_missing(csv)) return std::make_unique<ImageLabels>(config, split);
  throw UsageError("data.root",
                   "there is no file {}; image_labels reads <data.root>/train/labels.csv, with a column 'file' and one "
                   "of 0 and 1 for each label, and val/labels.csv and test/labels.csv if there are such folders",
                   csv.string());
}

const DatasetRegistry::Registration registered{
    "image_labels", "images with any number of labels: <data.root>/train/labels.csv, val/labels.csv, test/labels.csv",
    make_image_labels, __FILE__};

}  // namespace
}  // namespace trainyard
