#include "transforms/pack_dataset.h"

#include <algorithm>
#include <cstring>

#include "datasets/packed_writer.h"
#include "datasets/stored_images.h"
#include "images/encode_jpeg.h"
#include "images/encode_png.h"
#include "transforms/pipeline.h"
#include "util/error.h"
#include "util/ordered_producers.h"
#include "util/process_end.h"

namespace trainyard {
namespace {

/// Precedes the bytes of each field sent by the process that produces it.
struct FieldHead {
  std::uint64_t bytes = 0;
  ImageSize size;
  bool is_encoded = false;  ///< the bytes are an encoded file
};

/// Produces the records of a dataset's samples.
class SampleMaker {
 public:
  SampleMaker(const Dataset& dataset, const PackOptions& options)
      : dataset_(dataset), options_(options), pipeline_(options.transforms, dataset.fields()) {
    const std::vector<Field>& fields = dataset.fields();
    if (!dataset.is_deterministic()) {
      throw UsageError(
          "pack",
          "the dataset draws its samples ({}) anew in each epoch, so they cannot be packed: train on it directly",
          describe(fields));
    }
    const auto is_stored_image = [](const Field& field) { return field.is_stored_image; };
    const auto is_spatial = [](const Field& field) { return field.is_spatial(); };
    if (options.as == PackAs::jpeg && std::none_of(fields.begin(), fields.end(), is_spatial)) {
      throw UsageError("pack", "these samples are not images: --as raw");
    }
    if (options.as == PackAs::keep && std::any_of(fields.begin(), fields.end(), is_stored_image) &&
        !options.transforms.empty()) {
      throw UsageError("pack", "files that are kept as they are cannot be transformed: --as jpeg, or --as raw");
    }
  }

  /// Heads and bytes of the fields, valid until the next call.
  std::span<const std::byte> make(std::size_t index) {
    try {
      made_.clear();
      make_sample(index);
    } catch (const RunError& error) {
      throw RunError("pack", "sample {} ({}) cannot be packed: {}", index, dataset_.name(index), error.what());
    }
    return made_;
  }

  /// Splits the result of make() into fields.
  static std::vector<FieldToPack> fields_of(std::span<const std::byte> made) {
    std::vector<FieldToPack> fields;
    while (!made.empty()) {
      FieldHead head;
      std::memcpy(&head, made.data(), sizeof head);
      fields.push_back({made.subspan(sizeof head, head.bytes), head.size, head.is_encoded});
      made = made.subspan(sizeof head + head.bytes);
    }
    return fields;
  }

 private:
  void make_sample(std::size_t index) {
    const std::vector<Field>& fields = dataset_.fields();
    if (options_.transforms.empty() && options_.as == PackAs::keep) return keep_sample(index);
    const std::vector<FieldContent> contents = pipeline_.read_any_size(dataset_, index, 0, 0);
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const FieldContent& content = contents[i];
      check_values(dataset_, index, i, field_of(fields[i], content), content.bytes);
      if (fields[i].is_spatial() && options_.as == PackAs::jpeg) {
        add_encoded(fields[i], content);
      } else {
        add({.size = content.size}, content.bytes);
      }
    }
  }

  void keep_sample(std::size_t index) {
    const std::vector<Field>& fields = dataset_.fields();
    read_sample(dataset_, index, sample_);
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].is_stored_image) {
        const StoredImage& stored = sample_.stored(i);
        const ImageSize size = stored_image_size(dataset_, i, stored, index);  // refuses data that is not an image
        add({.size = size, .is_encoded = !stored.pixels}, stored.bytes);
      } else {
        check_values(dataset_, index, i, fields[i], sample_.place(i));
        add({.size = fields[i].is_spatial() ? image_size(fields[i]) : ImageSize()}, sample_.place(i));
      }
    }
  }

  void add_encoded(const Field& field, const FieldContent& content) {
    const auto [height, width] = content.size;
    if (field.is_mask()) {
      const std::string file = encode_png({height, width, 1, content.bytes});
      return add({.size = content.size, .is_encoded = true}, std::as_bytes(std::span(file)));
    }
    const ConstImageView image(content.bytes.data(), content.size, channels_of(field));
    add({.size = content.size, .is_encoded = true}, encode_jpeg(image, options_.quality));
  }

  void add(FieldHead head, std::span<const std::byte> bytes) {
    head.bytes = bytes.size();
    const std::span<const std::byte> head_bytes = std::as_bytes(std::span(&head, 1));
    made_.insert(made_.end(), head_bytes.begin(), head_bytes.end());
    made_.insert(made_.end(), bytes.begin(), bytes.end());
  }

  const Dataset& dataset_;
  const PackOptions& options_;
  TransformPipeline pipeline_;
  Sample sample_;
  std::vector<std::byte> made_;
};

}  // namespace

void require_packable(const Dataset& dataset, const PackOptions& options) { SampleMaker(dataset, options); }

FileDigest pack_dataset(const Dataset& dataset, const PackOptions& options, const std::filesystem::path& path) {
  remove_leftovers(path);
  return write_file_atomically(path, [&](FileWriter& file) {
    SampleMaker maker(dataset, options);
    OrderedProducers samples(
        dataset.size(), options.workers, [&](std::size_t index) { return maker.make(index); }, "pack");
    PackedWriter writer(file, dataset.fields());
    for (std::size_t index = 0; index < dataset.size(); ++index) {
      if (options.stop.stop_requested()) {
        throw RunError("pack", "{}: stopped by {} after {} of {} samples: nothing is kept of them, pack again",
                       path.string(), signal_text(options.stop.signal()), index, dataset.size());
      }
      writer.add(SampleMaker::fields_of(samples.next()));
    }
    writer.finish(dataset.class_names(), dataset.channel_mean(), dataset.channel_std());
  });
}

}  // namespace trainyard
