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

void require_image_files(const std::vector<Field>& fields, DecodeMode decode) {
  const auto is_file = [](const Field& field) { return field.is_stored_image && field.is_image(); };
  if (std::any_of(fields.begin(), fields.end(), is_file)) return;
  throw UsageError("transform.decode", "{} is for image files, and the samples are {}; set it to exact", word(decode),
                   describe(fields));
}

[[noreturn]] void refuse_on_gpu(const std::string& transform) {
  throw UsageError("transform.decode",
                   "'{}' changes pixels in a worker, which gpu leaves to the GPU; only transforms that crop or resize, "
                   "and a random_horizontal_flip that comes last, are done there. Leave it out, or set exact",
                   transform);
}

// Who decodes the file, and what the GPU has to know for it; mirroring is not decided yet. `room`: bytes for the file.
EncodedImage header_of(const StoredImage& stored, const std::optional<JpegLayout>& layout,
                       const std::optional<Framing>& framing, std::size_t room) {
  EncodedImage header;
  if (!layout) {
    header.decoded_by = is_jpeg(stored.bytes) ? DecodedBy::worker_kind : DecodedBy::worker_other;
  } else if (!framing) {
    header.decoded_by = DecodedBy::worker_transform;
  } else if (stored.bytes.size() > room) {
    header.decoded_by = DecodedBy::worker_size;
  } else {
    header = {.decoded_by = DecodedBy::gpu,
              .mirrored = false,
              .file_bytes = stored.bytes.size(),
              .layout = *layout,
              .framing = *framing};
  }
  return header;
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

/// The stages that one sample passes through, and their random numbers.
struct TransformPipeline::Pass {
  std::uint64_t seed;
  std::uint64_t epoch;
  std::uint64_t index;
  std::size_t end;  ///< number of stages; without mirror() it is one less

  RandomStream random(std::size_t place, const Stage& stage) const {
    return stream_of(seed, epoch, index, place, stage.name_key);
  }
};

TransformPipeline::TransformPipeline(const std::vector<std::string>& specs, const std::vector<Field>& fields,
                                     DecodeMode decode)
    : decode_(decode) {
  if (decode != DecodeMode::exact) require_image_files(fields, decode);
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
    const auto [height, width] = size_after(image_size(field));
    field.shape[0] = static_cast<std::int64_t>(height);
    field.shape[1] = static_cast<std::int64_t>(width);
  }
}

ImageSize TransformPipeline::size_after(ImageSize size) const {
  for (const Stage& stage : stages_) {
    if (stage.frames) size = stage.transform->frame(size, RandomStream(0))->size;
  }
  return size;
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

// Applies a stage that does not crop or resize.
void TransformPipeline::apply(std::size_t place, const ImageView& image, bool is_mask, const Pass& pass) const {
  const Stage& stage = stages_[place];
  if (is_mask) {
    stage.transform->apply_to_mask(image, pass.random(place, stage));
  } else {
    stage.transform->apply(image, pass.random(place, stage));
  }
}

// Applies the stages before `end`.
void TransformPipeline::run(LazyImage& image, bool is_mask, const Pass& pass, std::size_t end) const {
  for (std::size_t place = 0; place < end; ++place) {
    const Stage& stage = stages_[place];
    if (stage.frames) {
      image.frame(*stage.transform->frame(image.size(), pass.random(place, stage)));
    } else {
      apply(place, image.pixels(), is_mask, pass);
    }
  }
}

// Applies the stages after the last crop or resize, in place.
void TransformPipeline::change(const ImageView& image, bool is_mask, const Pass& pass) const {
  for (std::size_t place = framed_; place < pass.end; ++place) apply(place, image, is_mask, pass);
}

// Writes the pixels, and applies the stages after the last crop or resize to them.
void TransformPipeline::finish(LazyImage& image, bool is_mask, const Pass& pass, std::byte* out) const {
  const auto [height, width] = image.size();
  image.write_to(out);
  change({out, height, width, image.channels()}, is_mask, pass);
}

Image TransformPipeline::finish(LazyImage& image, bool is_mask, const Pass& pass) const {
  run(image, is_mask, pass, pass.end);
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
  }
  require_size_of_masks(dataset, index);
}

// Images may differ in size; a mask has a class for each pixel of the first image.
void TransformPipeline::require_size_of_masks(const Dataset& dataset, std::size_t index) const {
  const std::vector<Field>& fields = dataset.fields();
  const auto image = std::find_if(fields.begin(), fields.end(), [](const Field& field) { return field.is_image(); });
  if (image == fields.end()) return;
  const ImageSize wanted = memory_->spatial[static_cast<std::size_t>(image - fields.begin())].size();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!fields[i].is_mask()) continue;
    const ImageSize size = memory_->spatial[i].size();
    if (size == wanted) continue;
    throw RunError("data", "{}: {} has {} x {} pixels and {} has {} x {}: both must have one size (width x height)",
                   dataset.name(index), image->name, wanted.width, wanted.height, fields[i].name, size.width,
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
  if (!has_work) return;
  const std::size_t end = stages_.size() - (unmirrored && mirror() ? 1 : 0);
  transform(dataset, {.seed = seed, .epoch = epoch, .index = index, .end = end}, out);
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
void TransformPipeline::transform(const Dataset& dataset, const Pass& pass,
                                  std::span<const std::span<std::byte>> out) const {
  open(dataset, pass.index);
  const std::vector<Field>& fields = this->fields(dataset);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (fields[i].is_spatial()) transform_field(dataset, i, pass, out[i]);
  }
}

void TransformPipeline::transform_field(const Dataset& dataset, std::size_t i, const Pass& pass,
                                        std::span<std::byte> out) const {
  const Field& field = fields(dataset)[i];
  if (!field.is_stored_image && framed_ == 0) {
    const auto [height, width] = image_size(field);
    return change({out.data(), height, width, channels_of(field)}, field.is_mask(), pass);
  }
  Spatial& spatial = memory_->spatial[i];
  LazyImage image = lazy(field, spatial);
  std::optional<JpegLayout> layout;  // known only before decoding begins
  if (field.encoded_bytes > 0 && spatial.reader) layout = spatial.reader->layout_for_gpu();
  run(image, field.is_mask(), pass, framed_);
  if (image.size() != image_size(field)) {
    const std::string name = field.is_stored_image ? dataset.image_name(i, pass.index) : "a sample";
    throw_size_mismatch(name, image.size(), image_size(field));
  }
  if (field.encoded_bytes == 0) return finish(image, field.is_mask(), pass, out.data());

  const StoredImage& stored = memory_->sample.stored(i);
  const std::span<std::byte> rest = out.subspan(encoded_image_start);
  EncodedImage header = header_of(stored, layout, image.framing(), rest.size());
  if (header.decoded_by == DecodedBy::gpu) {
    const std::optional<RandomMirror> flip = pass.end == stages_.size() ? mirror() : std::nullopt;
    header.mirrored = flip && (*flip)(pass.seed, pass.epoch, pass.index);
    std::copy(stored.bytes.begin(), stored.bytes.end(), rest.begin());
  } else {
    finish(image, field.is_mask(), pass, rest.data());
  }
  write_header(header, out);
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
  const Pass pass{.seed = seed, .epoch = epoch, .index = index, .end = stages_.size()};
  std::vector<FieldContent> contents(fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!fields[i].is_spatial()) {
      const std::span<const std::byte> place = memory_->sample.place(i);
      contents[i].bytes.assign(place.begin(), place.end());
      continue;
    }
    LazyImage image = lazy(fields[i], memory_->spatial[i]);
    Image result = finish(image, fields[i].is_mask(), pass);
    contents[i] = {std::move(result.pixels), {result.height, result.width}};
  }
  return contents;
}

Image TransformPipeline::apply(const ConstImageView& pixels, std::uint64_t seed, std::uint64_t epoch,
                               std::uint64_t index) const {
  if (memory_->spatial.empty()) memory_->spatial.resize(1);
  LazyImage image(pixels, {.mode = decode_}, memory_->spatial[0].image);
  return finish(image, /*is_mask=*/false, {.seed = seed, .epoch = epoch, .index = index, .end = stages_.size()});
}

}  // namespace trainyard
