#include "transforms/pipeline.h"

#include <cstddef>

#include <fmt/ranges.h>

#include "util/error.h"

namespace trainyard {
namespace {

ImageSize size_of(const SampleSpec& sample) {
  return {static_cast<std::size_t>(sample.shape[0]), static_cast<std::size_t>(sample.shape[1])};
}

RandomStream stream_of(std::uint64_t seed, std::uint64_t epoch, std::uint64_t index, std::uint64_t place,
                       std::uint64_t name_key) {
  return RandomStream(key_of({seed, epoch, index, place, name_key}));
}

std::pair<std::string, std::unique_ptr<Transform>> make_transform(const std::string& spec) {
  TransformArguments arguments = parse_transform(spec);
  auto transform = TransformRegistry::make(arguments.transform(), arguments);
  arguments.refuse_unknown();
  return {arguments.transform(), std::move(transform)};
}

}  // namespace

void check_transforms(const std::vector<std::string>& specs) {
  for (const std::string& spec : specs) make_transform(spec);
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

TransformPipeline::TransformPipeline(const std::vector<std::string>& specs, const SampleSpec& sample, DecodeMode decode)
    : decode_(decode) {
  if (!specs.empty() && (sample.dtype != DType::uint8 || sample.shape.size() != 3 || sample.varies)) {
    throw UsageError("transform",
                     "'{}' works on uint8 images of height x width x channels, the samples are {} of {}{}; "
                     "leave transform.train and transform.test empty",
                     specs.front(), sample.dtype == DType::uint8 ? "uint8" : "float32", fmt::join(sample.shape, " x "),
                     sample.varies ? " at most" : "");
  }
  if (specs.empty()) return;
  ImageSize size = size_of(sample);
  for (const std::string& spec : specs) {
    auto [name, transform] = make_transform(spec);
    const std::optional<Frame> frame = transform->frame(size, RandomStream(0));
    stages_.push_back({name, key_of(name), frame.has_value(), std::move(transform)});
    if (!frame) continue;
    framed_ = stages_.size();
    size = frame->size;
  }
  spec_ = SampleSpec{{static_cast<std::int64_t>(size.height), static_cast<std::int64_t>(size.width), sample.shape[2]},
                     DType::uint8};
}

std::optional<RandomMirror> TransformPipeline::mirror() const {
  if (stages_.empty()) return std::nullopt;
  const Stage& last = stages_.back();
  const std::optional<double> p = last.transform->mirrors();
  return p ? std::optional(RandomMirror{stages_.size() - 1, last.name_key, *p}) : std::nullopt;
}

std::string TransformPipeline::first_drawn_anew() const {
  for (std::size_t place = 0; place < stages_.size(); ++place) {
    const bool last = place + 1 == stages_.size();
    const Transform& transform = *stages_[place].transform;
    if (!transform.is_deterministic() && !(last && transform.mirrors())) return stages_[place].name;
  }
  return "";
}

void TransformPipeline::run(LazyImage& image, std::size_t begin, std::size_t end, const Draws& draws) const {
  for (std::size_t place = begin; place < end; ++place) {
    const Stage& stage = stages_[place];
    if (stage.frames) {
      image.frame(*stage.transform->frame(image.size(), draws.of(place, stage)));
    } else {
      stage.transform->apply(image.pixels(), draws.of(place, stage));
    }
  }
}

// What follows the last crop or scaling, in the image itself.
void TransformPipeline::change(const ImageView& image, const Draws& draws, std::size_t end) const {
  for (std::size_t place = framed_; place < end; ++place) {
    stages_[place].transform->apply(image, draws.of(place, stages_[place]));
  }
}

void TransformPipeline::finish(LazyImage& image, const Draws& draws, std::size_t end, const std::string& name,
                               ImageSize size, std::byte* out) const {
  run(image, 0, framed_, draws);
  if (image.size() != size) throw_size_mismatch(name, image.size(), size);
  image.write_to(out);
  change({out, size.height, size.width, image.channels()}, draws, end);
}

Image TransformPipeline::finish(LazyImage& image, const Draws& draws) const {
  run(image, 0, stages_.size(), draws);
  Image result{image.size().height, image.size().width, image.channels(), {}};
  result.pixels.resize(result.height * result.width * result.channels);
  image.write_to(result.pixels.data());
  return result;
}

std::int64_t TransformPipeline::read(const Dataset& dataset, std::size_t index, std::uint64_t seed, std::uint64_t epoch,
                                     std::span<std::byte> out, bool unmirrored) const {
  const auto* const images = dynamic_cast<const ImageDataset*>(&dataset);
  if (images == nullptr && stages_.empty()) return dataset.get(index, out);

  const SampleSpec& sample = dataset.spec();
  const auto channels = static_cast<std::size_t>(sample.shape[2]);
  const ImageSize size = size_of(spec(dataset));
  const Draws draws(seed, epoch, index);
  const std::size_t end = stages_.size() - (unmirrored && mirror() ? 1 : 0);
  if (images == nullptr) {
    const std::span<std::byte> pixels = framed_ == 0 ? out : memory_->file.take(sample.bytes());
    const std::int64_t label = dataset.get(index, pixels);
    if (framed_ == 0) {
      change({out.data(), size.height, size.width, channels}, draws, end);
    } else {
      LazyImage image(ConstImageView(pixels.data(), size_of(sample), channels), memory_->image);
      finish(image, draws, end, "a sample", size, out.data());
    }
    return label;
  }
  const StoredImage stored = images->read(index, memory_->file);
  if (stored.pixels) {
    LazyImage image(ConstImageView(stored.bytes.data(), *stored.pixels, channels), memory_->image);
    finish(image, draws, end, images->name(index), size, out.data());
  } else {
    const auto reader = images->open(stored, index);
    LazyImage image(*reader, channels, decode_, memory_->image);
    finish(image, draws, end, images->name(index), size, out.data());
  }
  return stored.label;
}

Image TransformPipeline::apply(const ConstImageView& pixels, std::uint64_t seed, std::uint64_t epoch,
                               std::uint64_t index) const {
  LazyImage image(pixels, memory_->image);
  return finish(image, Draws(seed, epoch, index));
}

Image TransformPipeline::apply(const ImageDataset& dataset, std::size_t index, std::uint64_t seed,
                               std::uint64_t epoch) const {
  const StoredImage stored = dataset.read(index, memory_->file);
  const auto channels = static_cast<std::size_t>(dataset.spec().shape[2]);
  if (stored.pixels) return apply(ConstImageView(stored.bytes.data(), *stored.pixels, channels), seed, epoch, index);
  const auto reader = dataset.open(stored, index);
  LazyImage image(*reader, channels, decode_, memory_->image);
  return finish(image, Draws(seed, epoch, index));
}

}  // namespace trainyard
