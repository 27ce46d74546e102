#include "transforms/pipeline.h"

#include <algorithm>
#include <cstddef>

#include "datasets/stored_images.h"
#include "transforms/encoded_image.h"
#include "util/error.h"

namespace trainyard {
namespace {

RandomStream stream_of(std::uint64_t seed, std::uint64_t epoch, std::uint64_t index, std::uint64_t place,
                       std::uint64_t name_key) {
  return RandomStream(key_of({seed, epoch, index, place, name_key}));
}

// Returns the random stream for Dataset::read().
inline RandomStream stream_of_reading(const Dataset& dataset, std::uint64_t seed, std::uint64_t epoch,
                                      std::uint64_t index) {
  constexpr std::uint64_t name_key = key_of("read");
  return RandomStream(dataset.is_deterministic() ? 0 : key_of({seed, epoch, index, name_key}));
}

std::pair<std::string, std::unique_ptr<Transform>> make_transform(const std::string& spec) {
  TransformArguments arguments = parse_transform(spec);
  auto transform = TransformRegistry::make(arguments.transform(), arguments);
  arguments.refuse_unknown();
  return {arguments.transform(), std::move(transform)};
}

void require_image_files(const std::vector<Field>& fields) {
  const auto is_file = [](const Field& field) { return field.is_stored_image && field.is_image(); };
  if (std::any_of(fields.begin(), fields.end(), is_file)) return;
  throw UsageError("transform.decode", "gpu decodes image files, and the samples are {}; set it to exact",
                   describe(fields));
}

[[noreturn]] void refuse_on_gpu(const std::string& transform) {
  throw UsageError("transform.decode",
                   "'{}' changes pixels in a worker, which gpu leaves to the GPU; only transforms that crop or resize, "
                   "and a random_horizontal_flip that comes last, are done there. Leave it out, or set exact",
                   transform);
}

}  // namespace

void check_transforms(const std::vector<std::string>& specs) {
  for (const std::string& spec : specs) make_transform(spec);
}

std::vector<std::string> random_transforms(const std::vector<std::string>& specs) {
  std::vector<std::string> names;
  for (const std::string& spec : specs) {
    const auto [name, transform] = make_transform(spec);
    if (!transform->is_deterministic()) names.push_back(name);
  }
  return names;
}

bool RandomMirror::operator()(std::uint64_t seed, std::uint64_t epoch, std::uint64_t index) const {
  return stream_of(seed, epoch, index, place, name_key).uniform() < p;
}

class TransformPipeline::Draws {
 public:
  Draws(std::uint64_t seed, std::uint64_t epoch, std::uint64_t index) : seed_(seed), epoch_(epoch), index_(index) {}
  RandomStream of(std::size_t place, const Stage& stage) const {
    return stream_of(seed_, epoch_, index_, place, stage.name_key);
  }

 private:
  std::uint64_t seed_;
  std::uint64_t epoch_;
  std::uint64_t index_;
};

TransformPipeline::TransformPipeline(const std::vector<std::string>& specs, const std::vector<Field>& fields,
                                     DecodeMode decode)
    : decode_(decode) {
  if (decode == DecodeMode::gpu) require_image_files(fields);
  if (specs.empty() && decode != DecodeMode::gpu) return;
  const auto image = std::find_if(fields.begin(), fields.end(), [](const Field& field) { return field.is_image(); });
  if (image == fields.end()) {
    throw UsageError("transform",
                     "'{}' works on uint8 images of height x width x channels, the samples are {}; leave "
                     "transform.train and transform.test empty",
                     specs.front(), describe(fields));
  }
  const bool has_masks = std::any_of(fields.begin(), fields.end(), [](const Field& field) { return field.is_mask(); });
  ImageSize size = image_size(*image);
  for (const std::string& spec : specs) {
    auto [name, transform] = make_transform(spec);
    if (has_masks && !transform->supports_masks()) {
      throw UsageError("transform", "'{}' cannot act on masks, and the samples are {}; leave it out", name,
                       describe(fields));
    }
    const std::optional<Frame> frame = transform->frame(size, RandomStream(0));
    const bool flips_last = transform->mirrors() && stages_.size() + 1 == specs.size();
    if (decode == DecodeMode::gpu && !frame && !flips_last) refuse_on_gpu(name);
    stages_.push_back({name, key_of(name), frame.has_value(), std::move(transform)});
    if (!frame) continue;
    framed_ = stages_.size();
    size = frame->size;
  }
  fields_ = fields;
  for (Field& field : fields_) {
    if (!field.is_spatial()) continue;
    field.shape[0] = static_cast<std::int64_t>(size.height);
    field.shape[1] = static_cast<std::int64_t>(size.width);
  }
}

void TransformPipeline::leave_files_to_gpu(std::size_t bytes) {
  for (Field& field : fields_) {
    if (field.is_stored_image && field.is_image()) {
      field.encoded_bytes = encoded_image_start + std::max(field.elements(), bytes);
    }
  }
}

std::optional<RandomMirror> TransformPipeline::mirror() const {
  if (stages_.empty()) return std::nullopt;
  const Stage& last = stages_.back();
  const std::optional<double> p = last.transform->mirrors();
  return p ? std::optional(RandomMirror{stages_.size() - 1, last.name_key, *p}) : std::nullopt;
}

std::string TransformPipeline::first_random_transform() const {
  for (std::size_t place = 0; place < stages_.size(); ++place) {
    const bool last = place + 1 == stages_.size();
    const Transform& transform = *stages_[place].transform;
    if (!transform.is_deterministic() && !(last && transform.mirrors())) return stages_[place].name;
  }
  return "";
}

void TransformPipeline::run(LazyImage& image, bool is_mask, std::size_t begin, std::size_t end,
                            const Draws& draws) const {
  for (std::size_t place = begin; place < end; ++place) {
    const Stage& stage = stages_[place];
    if (stage.frames) {
      image.frame(*stage.transform->frame(image.size(), draws.of(place, stage)));
    } else if (is_mask) {
      stage.transform->apply_to_mask(image.pixels(), draws.of(place, stage));
    } else {
      stage.transform->apply(image.pixels(), draws.of(place, stage));
    }
  }
}

// Applies the stages after the last crop or resize, in place.
void TransformPipeline::change(const ImageView& image, bool is_mask, const Draws& draws, std::size_t end) const {
  for (std::size_t place = framed_; place < end; ++place) {
    const RandomStream random = draws.of(place, stages_[place]);
    if (is_mask) {
      stages_[place].transform->apply_to_mask(image, random);
    } else {
      stages_[place].transform->apply(image, random);
    }
  }
}

// Applies the stages up to the last crop or resize.
void TransformPipeline::frame(LazyImage& image, const Field& field, const Draws& draws, const std::string& name) const {
  run(image, field.is_mask(), 0, framed_, draws);
  if (image.size() != image_size(field)) throw_size_mismatch(name, image.size(), image_size(field));
}

// Writes the pixels, and applies the rest of the stages to them.
void TransformPipeline::finish(LazyImage& image, const Field& field, const Draws& draws, std::size_t end,
                               std::byte* out) const {
  const auto [height, width] = image.size();
  image.write_to(out);
  change({out, height, width, image.channels()}, field.is_mask(), draws, end);
}

// Copies the file if the GPU can decode it; otherwise decodes it here.
void TransformPipeline::leave_to_gpu(LazyImage& image, const std::optional<JpegLayout>& layout,
                                     const StoredImage& stored, const Field& field, const Draws& draws, std::size_t end,
                                     std::span<std::byte> out) const {
  const std::span<std::byte> rest = out.subspan(encoded_image_start);
  const std::optional<Framing> framing = image.framing();
  EncodedImage header;
  if (!layout) {
    header.decoded_by = is_jpeg(stored.bytes) ? DecodedBy::worker_kind : DecodedBy::worker_other;
  } else if (!framing) {
    header.decoded_by = DecodedBy::worker_transform;
  } else if (stored.bytes.size() > rest.size()) {
    header.decoded_by = DecodedBy::worker_size;
  } else {
    header = {.decoded_by = DecodedBy::gpu,
              .mirrored = false,
              .file_bytes = stored.bytes.size(),
              .layout = *layout,
              .framing = *framing};
    for (std::size_t place = framed_; place < end; ++place) {  // at most one, which mirrors
      const double p = stages_[place].transform->mirrors().value_or(0);
      header.mirrored = draws.of(place, stages_[place]).uniform() < p;
    }
    std::copy(stored.bytes.begin(), stored.bytes.end(), rest.begin());
  }
  write_header(header, out);
  if (header.decoded_by != DecodedBy::gpu) finish(image, field, draws, end, rest.data());
}

Image TransformPipeline::finish(LazyImage& image, bool is_mask, const Draws& draws) const {
  run(image, is_mask, 0, stages_.size(), draws);
  Image result{image.size().height, image.size().width, image.channels(), {}};
  result.pixels.resize(result.height * result.width * result.channels);
  image.write_to(result.pixels.data());
  return result;
}

LazyImage TransformPipeline::lazy(const Field& field, Spatial& spatial) const {
  LazyImage::Kind kind{.channels = channels_of(field), .mode = decode_};
  if (field.is_mask()) {
    kind.nearest = true;
    if (field.values && field.values->ignored) kind.outside = static_cast<std::byte>(*field.values->ignored);
  }
  return spatial.reader ? LazyImage(*spatial.reader, kind, spatial.image)
                        : LazyImage(spatial.pixels, kind, spatial.image);
}

// Prepares the spatial fields of the sample just read for the transforms.
void TransformPipeline::open(const Dataset& dataset, std::size_t index) const {
  const std::vector<Field>& fields = dataset.fields();
  if (memory_->spatial.size() < fields.size()) memory_->spatial.resize(fields.size());
  std::optional<std::size_t> first;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const Field& field = fields[i];
    Spatial& spatial = memory_->spatial[i];
    if (!field.is_spatial()) continue;
    spatial.reader.reset();
    const StoredImage& stored = memory_->sample.stored(i);
    if (!field.is_stored_image) {
      spatial.pixels = ConstImageView(memory_->sample.place(i).data(), image_size(field), channels_of(field));
    } else if (stored.pixels) {
      spatial.pixels = ConstImageView(stored.bytes.data(), *stored.pixels, channels_of(field));
    } else {
      spatial.reader = open_stored_image(dataset, i, stored, index);
    }
    if (!first) first = i;
    const ImageSize size = spatial.size();
    const ImageSize other = memory_->spatial[*first].size();
    if (size == other) continue;
    throw RunError("data", "{}: {} has {} x {} pixels and {} has {} x {}: both must have one size (width x height)",
                   dataset.name(index), fields[*first].name, other.width, other.height, field.name, size.width,
                   size.height);
  }
}

void TransformPipeline::read(const Dataset& dataset, std::size_t index, std::uint64_t seed, std::uint64_t epoch,
                             std::span<const std::span<std::byte>> out, bool unmirrored) const {
  const std::span<const Field> given = dataset.fields();
  Sample& sample = memory_->sample;
  const auto is_image = [](const Field& field) { return field.is_stored_image; };
  const bool has_work = !stages_.empty() || std::any_of(given.begin(), given.end(), is_image);
  if (has_work) {
    expect(given, out);
  } else {
    sample.expect(out);
  }
  dataset.read(index, stream_of_reading(dataset, seed, epoch, index), sample);
  if (!sample.is_filled()) require_filled(dataset, index, sample);
  if (has_work) transform(dataset, index, seed, epoch, out, unmirrored);
}

// Lets the dataset write to `out` what is not transformed, or only in place.
void TransformPipeline::expect(std::span<const Field> given, std::span<const std::span<std::byte>> out) const {
  Sample& sample = memory_->sample;
  sample.begin(given.size());
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i].is_stored_image) {
      sample.expect_image(i);
    } else if (framed_ > 0 && given[i].is_spatial()) {
      sample.expect(i, given[i].bytes());
    } else {
      sample.expect(i, out[i]);
    }
  }
}

// Transforms the sample just read.
void TransformPipeline::transform(const Dataset& dataset, std::size_t index, std::uint64_t seed, std::uint64_t epoch,
                                  std::span<const std::span<std::byte>> out, bool unmirrored) const {
  open(dataset, index);
  const std::vector<Field>& fields = this->fields(dataset);
  const Draws draws(seed, epoch, index);
  const std::size_t end = stages_.size() - (unmirrored && mirror() ? 1 : 0);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const Field& field = fields[i];
    if (!field.is_spatial()) continue;
    if (!field.is_stored_image && framed_ == 0) {
      const auto [height, width] = image_size(field);
      change({out[i].data(), height, width, channels_of(field)}, field.is_mask(), draws, end);
      continue;
    }
    Spatial& spatial = memory_->spatial[i];
    LazyImage image = lazy(field, spatial);
    std::optional<JpegLayout> layout;  // known only before decoding begins
    if (field.encoded_bytes > 0 && spatial.reader) layout = spatial.reader->layout_for_gpu();
    frame(image, field, draws, field.is_stored_image ? dataset.name(index) : "a sample");
    if (field.encoded_bytes > 0) {
      leave_to_gpu(image, layout, memory_->sample.stored(i), field, draws, end, out[i]);
    } else {
      finish(image, field, draws, end, out[i].data());
    }
  }
}

Field field_of(const Field& field, const FieldContent& content) {
  Field sized = field;
  if (!field.is_spatial()) return sized;
  sized.shape[0] = static_cast<std::int64_t>(content.size.height);
  sized.shape[1] = static_cast<std::int64_t>(content.size.width);
  return sized;
}

std::vector<FieldContent> TransformPipeline::read_any_size(const Dataset& dataset, std::size_t index,
                                                           std::uint64_t seed, std::uint64_t epoch) const {
  const std::vector<Field>& fields = dataset.fields();
  read_sample(dataset, index, memory_->sample, stream_of_reading(dataset, seed, epoch, index));
  open(dataset, index);
  const Draws draws(seed, epoch, index);
  std::vector<FieldContent> contents(fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!fields[i].is_spatial()) {
      const std::span<const std::byte> place = memory_->sample.place(i);
      contents[i].bytes.assign(place.begin(), place.end());
      continue;
    }
    LazyImage image = lazy(fields[i], memory_->spatial[i]);
    Image result = finish(image, fields[i].is_mask(), draws);
    contents[i] = {std::move(result.pixels), {result.height, result.width}};
  }
  return contents;
}

Image TransformPipeline::apply(const ConstImageView& pixels, std::uint64_t seed, std::uint64_t epoch,
                               std::uint64_t index) const {
  if (memory_->spatial.empty()) memory_->spatial.resize(1);
  LazyImage image(pixels, {.mode = decode_}, memory_->spatial[0].image);
  return finish(image, /*is_mask=*/false, Draws(seed, epoch, index));
}

}  // namespace trainyard
