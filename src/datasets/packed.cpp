// Packed files, as `trainyard pack` writes them: <data.root>/train.packed, val.packed and test.packed; all but the
// first may be missing.
#include <filesystem>

#include "datasets/packed_file.h"
#include "datasets/pictures.h"
#include "util/error.h"

namespace trainyard {
namespace {

std::vector<std::uint64_t> class_counts_of(const PackedFile& file) {
  std::vector<std::uint64_t> counts(file.description().class_names.size());
  for (const PackedRecord& record : file.records()) ++counts[record.label];
  return counts;
}

/// Records of one shape, pictures or not: read straight into the batch.
class PackedArrays final : public Dataset {
 public:
  explicit PackedArrays(PackedFile file)
      : file_(std::move(file)),
        fields_{file_.description().sample, label_field(file_.description().class_names.size())} {}

  std::size_t size() const override { return file_.records().size(); }
  const std::vector<Field>& fields() const override { return fields_; }
  const std::vector<std::string>& class_names() const override { return file_.description().class_names; }
  std::uint64_t fingerprint() const override { return file_.fingerprint(); }
  std::vector<float> channel_mean() const override { return file_.description().mean; }
  std::vector<float> channel_std() const override { return file_.description().std; }
  std::vector<std::uint64_t> class_counts() const override { return class_counts_of(file_); }
  std::optional<std::uint64_t> stratum(std::size_t index) const override { return file_.records()[index].label; }
  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    file_.read(index, sample.elements(0));
    sample.set(1, std::int64_t{file_.records()[index].label});
  }

 private:
  PackedFile file_;
  std::vector<Field> fields_;
};

/// JPEG and PNG files, or pixels of pictures that differ in size.
class PackedImages final : public Dataset {
 public:
  PackedImages(PackedFile file, const ImageOptions& options)
      : options_(options),
        file_(std::move(file)),
        fields_(picture_and_label(file_.description().sample.shape[2], file_.description().class_names.size())) {
    take_size_of_first_picture(*this, fields_);
  }

  std::size_t size() const override { return file_.records().size(); }
  const std::vector<Field>& fields() const override { return fields_; }
  ImageOptions decoding() const override { return options_; }
  const std::vector<std::string>& class_names() const override { return file_.description().class_names; }
  std::uint64_t fingerprint() const override {
    return picture_fingerprint(file_.fingerprint(), fields_[0].shape[2], options_);
  }
  std::vector<float> channel_mean() const override { return file_.description().mean; }
  std::vector<float> channel_std() const override { return file_.description().std; }
  std::vector<std::uint64_t> class_counts() const override { return class_counts_of(file_); }
  std::optional<std::uint64_t> stratum(std::size_t index) const override { return file_.records()[index].label; }
  std::string name(std::size_t index) const override { return fmt::format("{}, record {}", file_.path(), index); }

  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    const PackedRecord& record = file_.records()[index];
    const std::span<std::byte> bytes = sample.scratch(0).take(record.size);
    file_.read(index, bytes);
    StoredImage image{bytes};
    if (!file_.description().encoded) image.pixels = ImageSize{record.height, record.width};
    sample.store(0, image);
    sample.set(1, std::int64_t{record.label});
  }

 private:
  ImageOptions options_;
  PackedFile file_;
  std::vector<Field> fields_;
};

std::unique_ptr<Dataset> make_packed(const DataConfig& config, Split split) {
  const std::filesystem::path root = config.root.empty() ? "data/packed" : config.root;
  const std::filesystem::path path = root / fmt::format("{}.packed", to_string(split));
  std::error_code ignored;  // opening it says what is wrong with it
  if (std::filesystem::symlink_status(path, ignored).type() == std::filesystem::file_type::not_found) {
    if (split != Split::train) return nullptr;
    throw UsageError("data.root",
                     "there is no file {}; set data.root to the folder that `trainyard pack <folder>` has written",
                     path.string());
  }
  PackedFile file(path.string());
  if (file.records().empty()) throw RunError("packed", "{} holds no records: pack it again", path.string());
  const bool one_shape = file.description().sample.bytes() > 0;
  if (one_shape && !file.description().encoded) return std::make_unique<PackedArrays>(std::move(file));
  return std::make_unique<PackedImages>(std::move(file), image_options(config));
}

const DatasetRegistry::Registration registered{
    "packed", "what `trainyard pack` wrote: <data.root>/train.packed, val.packed, test.packed", make_packed, __FILE__};

}  // namespace
}  // namespace trainyard
