#include "transforms/pack_dataset.h"

#include <algorithm>
#include <cstring>

#include "datasets/packed_file.h"
#include "datasets/pictures.h"
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
      : dataset_(dataset), options_(options), pipeline_(options.transforms, dataset.fields()) {
    const std::vector<Field>& fields = dataset.fields();
    if (fields.size() != 2 || fields[1].name != "label" || fields[0].varies) {
      throw UsageError("pack", "samples of one field and a label can be packed, these are {}", describe(fields));
    }
    if (options.as == PackAs::jpeg && !fields[0].is_image()) {
      throw UsageError("pack", "these samples are no pictures: --as raw");
    }
    if (options.as == PackAs::keep && fields[0].is_picture && !options.transforms.empty()) {
      throw UsageError("pack", "files that are kept as they are cannot be transformed: --as jpeg, or --as raw");
    }
  }

  /// What the records are, once their pictures are decoded.
  const Field& sample() { return pipeline_.fields(dataset_)[0]; }

  /// Head and bytes, valid until the next call.
  std::span<const std::byte> make(std::size_t index) {
    try {
      make_record(index);
    } catch (const RunError& error) {
      throw RunError("pack", "sample {} ({}) cannot be packed: {}", index, dataset_.name(index), error.what());
    }
    return record_;
  }

 private:
  void make_record(std::size_t index) {
    const Field& field = dataset_.fields()[0];
    if (field.is_picture && options_.as == PackAs::keep) return make_file(index);
    const std::vector<FieldContent> contents = pipeline_.read_any_size(dataset_, index, 0, 0);
    const std::int64_t label = label_of(contents[1].bytes);
    if (!field.is_image()) return set({.label = label}, contents[0].bytes);
    make_pixels(ConstImageView(contents[0].bytes.data(), contents[0].size, channels_of(field)), label);
  }

  void make_file(std::size_t index) {
    read_sample(dataset_, index, sample_);
    const StoredImage& stored = sample_.stored(0);
    const ImageSize size = picture_size(dataset_, 0, stored, index);  // refuses what is no picture
    set({label_of(sample_.place(1)), size, true, !stored.pixels}, stored.bytes);
  }

  std::int64_t label_of(std::span<const std::byte> bytes) const {
    std::int64_t label = 0;
    check_values(dataset_.fields()[1], bytes);
    std::memcpy(&label, bytes.data(), sizeof label);
    return label;
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
  const PackOptions& options_;
  TransformPipeline pipeline_;
  Sample sample_;
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
