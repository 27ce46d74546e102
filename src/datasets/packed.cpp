// Packed files, as `trainyard pack` writes them: <data.root>/train.packed, val.packed and test.packed; all but the
// first may be missing.
#include <filesystem>

#include "datasets/image_dataset.h"
#include "datasets/packed_file.h"
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
  explicit PackedArrays(PackedFile file) : file_(std::move(file)) {}

  std::size_t size() const override { return file_.records().size(); }
  const SampleSpec& spec() const override { return file_.description().sample; }
  const std::vector<std::string>& class_names() const override { return file_.description().class_names; }
  std::uint64_t fingerprint() const override { return file_.fingerprint(); }
  std::vector<float> channel_mean() const override { return file_.description().mean; }
  std::vector<float> channel_std() const override { return file_.description().std; }
  std::vector<std::uint64_t> class_counts() const override { return class_counts_of(file_); }
  std::optional<std::uint64_t> stratum(std::size_t index) const override { return file_.records()[index].label; }
  std::int64_t get(std::size_t index, std::span<std::byte> out) const override {
    file_.read(index, out);
    return file_.records()[index].label;
  }

 private:
  PackedFile file_;
};

/// JPEG and PNG files, or pixels of pictures that differ in size.
class PackedImages final : public ImageDataset {
 public:
  PackedImages(PackedFile file, const ImageOptions& options)
      : ImageDataset(options), file_(std::move(file)), spec_(file_.description().sample) {
    const auto [height, width] = first_size();
    spec_.shape[0] = static_cast<std::int64_t>(height);
    spec_.shape[1] = static_cast<std::int64_t>(width);
  }

  std::size_t size() const override { return file_.records().size(); }
  const SampleSpec& spec() const override { return spec_; }
  const std::vector<std::string>& class_names() const override { return file_.description().class_names; }
  std::uint64_t fingerprint() const override { return fingerprint_of(file_.fingerprint()); }
  std::vector<float> channel_mean() const override { return file_.description().mean; }
  std::vector<float> channel_std() const override { return file_.description().std; }
  std::vector<std::uint64_t> class_counts() const override { return class_counts_of(file_); }
  std::optional<std::uint64_t> stratum(std::size_t index) const override { return file_.records()[index].label; }
  std::string name(std::size_t index) const override { return fmt::format("{}, record {}", file_.path(), index); }

  StoredImage read(std::size_t index, Scratch& scratch) const override {
    const PackedRecord& record = file_.records()[index];
    const std::span<std::byte> bytes = scratch.take(record.size);
    file_.read(index, bytes);
    StoredImage image{.bytes = bytes, .pixels = {}, .label = record.label};
    if (!file_.description().encoded) image.pixels = ImageSize{record.height, record.width};
    return image;
  }

 private:
  PackedFile file_;
  SampleSpec spec_;
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
