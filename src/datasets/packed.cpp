// Packed files written by `trainyard pack`: <data.root>/train.packed, val.packed and test.packed; only the first is
// required.
#include <cstring>
#include <filesystem>
#include <numeric>

#include "datasets/locate.h"
#include "datasets/packed_file.h"
#include "datasets/split_names.h"
#include "datasets/stored_images.h"
#include "util/error.h"

namespace trainyard {
namespace {

/// Reads elements directly into the batch; files, and pixels of images that differ in size, are returned as stored.
class Packed final : public Dataset {
 public:
  Packed(PackedFile file, const ImageOptions& options) : file_(std::move(file)), options_(options) {
    const std::vector<PackedField>& packed = file_.description().fields;
    for (std::size_t i = 0; i < packed.size(); ++i) {
      fields_.push_back(packed[i].field);
      if (packed[i].kind != PackedKind::column) continue;
      if (packed[i].field.name == "label") label_ = i;
      if (packed[i].field.name == "labels" && packed[i].field.bytes() == class_names().size()) labels_ = i;
    }
    for (std::size_t i = 0; i < packed.size(); ++i) {
      if (!packed[i].field.is_stored_image) continue;
      has_stored_images_ = true;
      fields_[i].shape[0] = fields_[i].shape[1] = 1;
    }
    for (std::size_t i = 0; i < packed.size(); ++i) {
      if (!packed[i].field.is_stored_image) continue;
      const auto [height, width] = first_image_size(*this, i);
      fields_[i].shape[0] = static_cast<std::int64_t>(height);
      fields_[i].shape[1] = static_cast<std::int64_t>(width);
    }
  }

  std::size_t size() const override { return file_.samples(); }
  const std::vector<Field>& fields() const override { return fields_; }
  ImageOptions decoding() const override { return options_; }
  const std::vector<std::string>& class_names() const override { return file_.description().class_names; }
  std::vector<float> channel_mean() const override { return file_.description().mean; }
  std::vector<float> channel_std() const override { return file_.description().std; }
  std::string name(std::size_t index) const override { return fmt::format("{}, record {}", file_.path(), index); }
  std::uint64_t fingerprint() const override {
    if (!has_stored_images_) return file_.fingerprint();
    return image_fingerprint(file_.fingerprint(), static_cast<std::int64_t>(channels_of(fields_[0])), options_);
  }

  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      switch (file_.description().fields[i].kind) {
        case PackedKind::column: {
          const std::span<const std::byte> column = file_.column(index, i);
          std::memcpy(sample.elements(i).data(), column.data(), column.size());
          break;
        }
        case PackedKind::elements:
          file_.read(index, i, sample.elements(i));
          break;
        case PackedKind::pixels:
        case PackedKind::files:
          store_image(index, i, sample);
      }
    }
  }

  std::int64_t rows(std::size_t field, std::size_t index) const override {
    return static_cast<std::int64_t>(file_.record(index, field).size / fields_[field].row_bytes());
  }

  std::vector<std::uint64_t> class_counts() const override {
    std::vector<std::uint64_t> all(size());
    std::iota(all.begin(), all.end(), 0);
    return class_counts_among(all);
  }
  std::vector<std::uint64_t> class_counts_among(std::span<const std::uint64_t> indices) const override {
    if (!labels_) return Dataset::class_counts_among(indices);
    std::vector<std::uint64_t> counts(class_names().size());
    for (const std::uint64_t index : indices) {
      const std::span<const std::byte> labels = file_.column(index, *labels_);
      for (std::size_t label = 0; label < counts.size(); ++label) counts[label] += labels[label] != std::byte{0};
    }
    return counts;
  }

  std::optional<std::uint64_t> stratum(std::size_t index) const override {
    if (!label_ || fields_[*label_].dtype != DType::int64) return std::nullopt;
    std::uint64_t label = 0;
    std::memcpy(&label, file_.column(index, *label_).data(), sizeof label);
    return label;
  }

 private:
  void store_image(std::size_t index, std::size_t field, Sample& sample) const {
    const PackedRecord& record = file_.record(index, field);
    const std::span<std::byte> bytes = sample.scratch(field).take(record.size);
    file_.read(index, field, bytes);
    StoredImage image{bytes};
    if (file_.description().fields[field].kind == PackedKind::pixels) {
      image.pixels = ImageSize{record.height, record.width};
    }
    sample.store(field, image);
  }

  PackedFile file_;
  ImageOptions options_;
  std::vector<Field> fields_;
  std::optional<std::size_t> label_;   ///< the field "label", if it is a column
  std::optional<std::size_t> labels_;  ///< the field "labels", likewise
  bool has_stored_images_ = false;
};

std::unique_ptr<Dataset> make_packed(const DataConfig& config, Split split) {
  const std::filesystem::path root = root_folder(config.root, "data/packed");
  const std::filesystem::path path = root / fmt::format("{}.packed", to_string(split));
  std::error_code ignored;  // opening it reports the error
  if (std::filesystem::symlink_status(path, ignored).type() == std::filesystem::file_type::not_found) {
    refuse_misnamed_split(root, split, ".packed");
    if (split != Split::train) return nullptr;
    throw UsageError("data.root",
                     "there is no file {}; set data.root to the folder that `trainyard pack <folder>` has written",
                     path.string());
  }
  PackedFile file(path.string());
  if (file.samples() == 0) throw RunError("packed", "{} holds no records: pack it again", path.string());
  return std::make_unique<Packed>(std::move(file), image_options(config));
}

const DatasetRegistry::Registration registered{
    "packed", "files written by `trainyard pack`: <data.root>/train.packed, val.packed, test.packed", make_packed,
    __FILE__};

}  // namespace
}  // namespace trainyard
