#include "transforms/pack_dataset.h"

#include <algorithm>
#include <cstring>

#include "datasets/packed_file.h"
#include "images/encode_jpeg.h"
#include "transforms/pipeline.h"
#include "util/error.h"
#include "util/ordered_makers.h"

namespace trainyard {
namespace {

/// What goes before a record's bytes on its way from the process that makes it.
struct RecordHead {
  std::int64_t label = 0;
  ImageSize size;
  bool has_size = false;
  bool encoded = false;  ///< it is a picture's file
};

/// Makes the records of a dataset's samples.
class RecordMaker {
 public:
  RecordMaker(const Dataset& dataset, const PackOptions& options)
      : dataset_(dataset),
        images_(dynamic_cast<const ImageDataset*>(&dataset)),
        options_(options),
        pipeline_(options.transforms, dataset.spec()) {
    const SampleSpec& sample = dataset.spec();
    if (options.as == PackAs::jpeg && !(sample.dtype == DType::uint8 && sample.shape.size() == 3)) {
      throw UsageError("pack", "these samples are no pictures: --as raw");
    }
    if (options.as == PackAs::keep && images_ != nullptr && !options.transforms.empty()) {
      throw UsageError("pack", "files that are kept as they are cannot be transformed: --as jpeg, or --as raw");
    }
  }

  /// What the records are, once their pictures are decoded.
  const SampleSpec& sample() { return pipeline_.spec(dataset_); }

  /// Head and bytes, valid until the next call.
  std::span<const std::byte> make(std::size_t index) {
    try {
      make_record(index);
    } catch (const RunError& error) {
      throw RunError("pack", "sample {} cannot be packed: {}", index, error.what());
    }
    return record_;
  }

 private:
  void make_record(std::size_t index) {
    if (images_ == nullptr) return make_sample(index);
    if (options_.as != PackAs::keep) {
      const std::int64_t label = images_->read(index, scratch_).label;
      return make_pixels(pipeline_.apply(*images_, index, 0, 0), label);
    }
    const StoredImage stored = images_->read(index, scratch_);
    const ImageSize size = images_->size_of(stored, index);  // refuses what is no picture
    set({stored.label, size, true, !stored.pixels}, stored.bytes);
  }

  void make_sample(std::size_t index) {
    const std::span<std::byte> out = scratch_.take(sample().bytes());
    const std::int64_t label = pipeline_.read(dataset_, index, 0, 0, out);
    const std::vector<std::int64_t>& shape = sample().shape;
    if (shape.size() != 3 || sample().dtype != DType::uint8) return set({.label = label}, out);
    const ImageSize size{static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1])};
    make_pixels(ConstImageView(out.data(), size, static_cast<std::size_t>(shape[2])), label);
  }

  void make_pixels(const ConstImageView& image, std::int64_t label) {
    if (options_.as == PackAs::jpeg) {
      return set({label, image.size(), true, true}, encode_jpeg(image, options_.quality));
    }
    set({label, image.size(), true, false}, {image.pixels, image.height * image.row_bytes});
  }

  void set(const RecordHead& head, std::span<const std::byte> bytes) {
    record_.resize(sizeof head + bytes.size());
    std::memcpy(record_.data(), &head, sizeof head);
    std::copy(bytes.begin(), bytes.end(), record_.begin() + sizeof head);
  }

  const Dataset& dataset_;
  const ImageDataset* images_;
  const PackOptions& options_;
  TransformPipeline pipeline_;
  Scratch scratch_;
  std::vector<std::byte> record_;
};

void write_records(const Dataset& dataset, RecordMaker& maker, int workers, PackedWriter& writer) {
  OrderedMakers records(dataset.size(), workers, [&](std::size_t index) { return maker.make(index); }, "pack");
  PackedDescription description{.sample = maker.sample(),
                                .class_names = dataset.class_names(),
                                .mean = dataset.channel_mean(),
                                .std = dataset.channel_std()};
  for (std::size_t index = 0; index < dataset.size(); ++index) {
    const std::span<const std::byte> record = records.next();
    RecordHead head;
    std::memcpy(&head, record.data(), sizeof head);
    if (head.label < 0 || static_cast<std::size_t>(head.label) >= description.class_names.size()) {
      throw RunError("pack", "sample {} ({}) has class {}, expected 0 to {}", index, dataset.name(index), head.label,
                     description.class_names.size() - 1);
    }
    description.encoded |= head.encoded;
    writer.add(record.subspan(sizeof head), head.has_size ? std::optional(head.size) : std::nullopt, head.label);
  }
  writer.finish(std::move(description));
}

}  // namespace

FileSum pack_dataset(const Dataset& dataset, const PackOptions& options, const std::filesystem::path& path) {
  return write_file_atomically(path, [&](FileWriter& file) {
    RecordMaker maker(dataset, options);
    PackedWriter writer(file);
    write_records(dataset, maker, options.workers, writer);
  });
}

}  // namespace trainyard
