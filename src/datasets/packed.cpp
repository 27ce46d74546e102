// Packed files, as `trainyard pack` writes them: <data.root>/train.packed and test.packed. The files stay mapped, so
// that all processes share their pages with the page cache. They must not shrink meanwhile.
#include <algorithm>
#include <filesystem>

#include "datasets/image_dataset.h"
#include "datasets/packed_file.h"
#include "util/error.h"

namespace trainyard {
namespace {

struct OpenFile {
  explicit OpenFile(std::string file)
      : path(std::move(file)), mapping(Mapping::read_only_file(path, "packed")), content(mapping.bytes(), path) {}
  std::string path;
  Mapping mapping;
  PackedContent content;
};

/// Records of one shape that are no pictures.
class PackedArrays final : public Dataset {
 public:
  explicit PackedArrays(std::unique_ptr<OpenFile> file) : file_(std::move(file)) {}

  std::size_t size() const override { return content().records().size(); }
  const SampleSpec& spec() const override { return content().description().sample; }
  const std::vector<std::string>& class_names() const override { return content().description().class_names; }
  std::uint64_t fingerprint() const override { return content().fingerprint(); }
  std::vector<float> channel_mean() const override { return content().description().mean; }
  std::vector<float> channel_std() const override { return content().description().std; }
  std::int64_t get(std::size_t index, std::span<std::byte> out) const override {
    const auto bytes = content().bytes(index);
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return content().records()[index].label;
  }

 private:
  const PackedContent& content() const { return file_->content; }

  std::unique_ptr<OpenFile> file_;
};

class PackedImages final : public ImageDataset {
 public:
  explicit PackedImages(std::unique_ptr<OpenFile> file)
      : file_(std::move(file)), spec_(content().description().sample) {
    const auto [height, width] = first_size();
    spec_.shape[0] = static_cast<std::int64_t>(height);
    spec_.shape[1] = static_cast<std::int64_t>(width);
  }

  std::size_t size() const override { return content().records().size(); }
  const SampleSpec& spec() const override { return spec_; }
  const std::vector<std::string>& class_names() const override { return content().description().class_names; }
  std::uint64_t fingerprint() const override { return content().fingerprint(); }
  std::vector<float> channel_mean() const override { return content().description().mean; }
  std::vector<float> channel_std() const override { return content().description().std; }
  std::string name(std::size_t index) const override { return fmt::format("{}, record {}", file_->path, index); }

  StoredImage read(std::size_t index, Scratch& /*scratch*/) const override {
    const PackedRecord& record = content().records()[index];
    StoredImage image{.bytes = content().bytes(index), .pixels = {}, .label = record.label};
    if (!content().description().encoded) image.pixels = ImageSize{record.height, record.width};
    return image;
  }

 private:
  const PackedContent& content() const { return file_->content; }

  std::unique_ptr<OpenFile> file_;
  SampleSpec spec_;
};

std::unique_ptr<Dataset> make_packed(const DataConfig& config, Split split) {
  const std::filesystem::path root = config.root.empty() ? "data/packed" : config.root;
  const std::filesystem::path path = root / fmt::format("{}.packed", to_string(split));
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) {
    throw UsageError("data.root",
                     "there is no file {}; set data.root to the folder that `trainyard pack <folder>` has written",
                     path.string());
  }
  auto file = std::make_unique<OpenFile>(path.string());
  if (file->content.records().empty()) throw RunError("packed", "{} holds no records: pack it again", path.string());
  const SampleSpec& sample = file->content.description().sample;
  if (sample.shape.size() == 3 && sample.dtype == DType::uint8) return std::make_unique<PackedImages>(std::move(file));
  return std::make_unique<PackedArrays>(std::move(file));
}

const DatasetRegistry::Registration registered{
    "packed", "what `trainyard pack` wrote: <data.root>/train.packed, test.packed", make_packed, __FILE__};

}  // namespace
}  // namespace trainyard
