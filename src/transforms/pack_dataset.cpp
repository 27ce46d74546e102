#include "transforms/pack_dataset.h"

#include "datasets/packed_file.h"
#include "images/encode_jpeg.h"
#include "transforms/pipeline.h"
#include "util/error.h"

namespace trainyard {
namespace {

class Packer {
 public:
  Packer(const Dataset& dataset, const PackOptions& options, FileWriter& file)
      : dataset_(dataset),
        images_(dynamic_cast<const ImageDataset*>(&dataset)),
        options_(options),
        pipeline_(options.transforms, dataset.spec()),
        writer_(file) {
    const SampleSpec& sample = dataset.spec();
    if (options.as == PackAs::jpeg && !(sample.dtype == DType::uint8 && sample.shape.size() == 3)) {
      throw UsageError("pack", "these samples are no pictures: --as raw");
    }
    if (options.as == PackAs::keep && images_ != nullptr && !options.transforms.empty()) {
      throw UsageError("pack", "files that are kept as they are cannot be transformed: --as jpeg, or --as raw");
    }
  }

  void pack() {
    for (std::size_t index = 0; index < dataset_.size(); ++index) {
      try {
        add(index);
      } catch (const RunError& error) {
        throw RunError("pack", "sample {} cannot be packed: {}", index, error.what());
      }
    }
    PackedDescription description{.encoded = encoded_,
                                  .sample = pipeline_.spec(dataset_),
                                  .class_names = dataset_.class_names(),
                                  .mean = dataset_.channel_mean(),
                                  .std = dataset_.channel_std()};
    writer_.finish(std::move(description));
  }

 private:
  void add(std::size_t index) {
    if (images_ == nullptr) return add_sample(index);
    if (options_.as != PackAs::keep) {
      const std::int64_t label = images_->read(index, scratch_).label;
      return add_pixels(pipeline_.apply(*images_, index, 0, 0), label);
    }
    const StoredImage stored = images_->read(index, scratch_);
    const ImageSize size = size_of(stored, images_->name(index));  // refuses what is no picture
    if (!stored.pixels) encoded_ = true;
    writer_.add(stored.bytes, size, stored.label);
  }

  void add_sample(std::size_t index) {
    const SampleSpec& sample = pipeline_.spec(dataset_);
    const std::span<std::byte> out = scratch_.take(sample.bytes());
    const std::int64_t label = pipeline_.read(dataset_, index, 0, 0, out);
    if (sample.shape.size() != 3 || sample.dtype != DType::uint8) return writer_.add(out, {}, label);
    const ImageSize size{static_cast<std::size_t>(sample.shape[0]), static_cast<std::size_t>(sample.shape[1])};
    add_pixels(ConstImageView(out.data(), size, static_cast<std::size_t>(sample.shape[2])), label);
  }

  void add_pixels(const ConstImageView& image, std::int64_t label) {
    if (options_.as == PackAs::jpeg) {
      encoded_ = true;
      return writer_.add(encode_jpeg(image, options_.quality), image.size(), label);
    }
    writer_.add({image.pixels, image.height * image.row_bytes}, image.size(), label);
  }

  const Dataset& dataset_;
  const ImageDataset* images_;
  const PackOptions& options_;
  TransformPipeline pipeline_;
  PackedWriter writer_;
  Scratch scratch_;
  bool encoded_ = false;
};

}  // namespace

FileSum pack_dataset(const Dataset& dataset, const PackOptions& options, const std::filesystem::path& path) {
  return write_file_atomically(path, [&](FileWriter& file) { Packer(dataset, options, file).pack(); });
}

}  // namespace trainyard
