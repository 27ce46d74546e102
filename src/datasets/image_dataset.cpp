#include "datasets/image_dataset.h"

#include <fmt/format.h>

#include "util/error.h"
#include "util/random.h"

namespace trainyard {

void throw_size_mismatch(const std::string& name, ImageSize size, ImageSize wanted) {
  throw RunError("image",
                 "{} comes out at {} x {} pixels, the first image of the set at {} x {} (width x height): add a "
                 "transform that gives all one size, as random_resized_crop(size=224) for training, "
                 "resize(size=256) and center_crop(size=224) for testing",
                 name, size.width, size.height, wanted.width, wanted.height);
}

std::vector<float> usual_mean(const SampleSpec& sample) {
  return sample.shape[2] == 1 ? std::vector{0.459F} : std::vector{0.485F, 0.456F, 0.406F};
}

std::vector<float> usual_std(const SampleSpec& sample) {
  return sample.shape[2] == 1 ? std::vector{0.226F} : std::vector{0.229F, 0.224F, 0.225F};
}

ImageOptions image_options(const DataConfig& config) {
  return {.max_pixels = static_cast<std::size_t>(config.max_pixels), .upright = config.exif_orientation};
}

std::unique_ptr<ImageReader> ImageDataset::open(const StoredImage& stored, std::size_t index) const {
  return ImageReader::open(stored.bytes, name(index), options_);
}

ImageSize ImageDataset::size_of(const StoredImage& stored, std::size_t index) const {
  return stored.pixels ? *stored.pixels : open(stored, index)->size();
}

ImageSize ImageDataset::decode_whole(const StoredImage& stored, std::size_t index, ImageSize wanted,
                                     std::byte* out) const {
  if (stored.pixels) {
    if (*stored.pixels == wanted) std::copy(stored.bytes.begin(), stored.bytes.end(), out);
    return *stored.pixels;
  }
  const auto reader = open(stored, index);
  if (reader->size() == wanted) {
    reader->read(Rect::whole(wanted), static_cast<std::size_t>(spec().shape[2]), 1, out);
  }
  return reader->size();
}

std::int64_t ImageDataset::get(std::size_t index, std::span<std::byte> out) const {
  const std::vector<std::int64_t>& shape = spec().shape;
  const ImageSize wanted{static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1])};
  Scratch scratch;
  const StoredImage stored = read(index, scratch);
  const ImageSize size = decode_whole(stored, index, wanted, out.data());
  if (size != wanted) throw_size_mismatch(name(index), size, wanted);
  return stored.label;
}

std::uint64_t ImageDataset::fingerprint_of(std::uint64_t content) const {
  return key_of({content, static_cast<std::uint64_t>(spec().shape[2]), options_.upright ? 1U : 0U});
}

ImageSize ImageDataset::first_size() const {
  constexpr std::size_t most_listed = 100;
  std::string errors;
  Scratch scratch;
  for (std::size_t index = 0; index < size(); ++index) {
    try {
      return size_of(read(index, scratch), index);
    } catch (const RunError& error) {
      if (index < most_listed) errors += fmt::format("\n  {}", error.what());
    }
  }
  if (size() > most_listed) errors += fmt::format("\n  and {} more", size() - most_listed);
  throw RunError("data", "none of the {} pictures can be read:{}", size(), errors);
}

}  // namespace trainyard
