#include "datasets/image_dataset.h"

#include <algorithm>
#include <exception>

#include "images/decode_image.h"
#include "util/error.h"

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

ImageSize size_of(const StoredImage& stored, const std::string& name) {
  return stored.pixels ? *stored.pixels : ImageReader::open(stored.bytes, name)->size();
}

ImageSize decode_whole(const StoredImage& stored, const std::string& name, std::size_t channels, ImageSize wanted,
                       std::byte* out) {
  if (stored.pixels) {
    if (*stored.pixels == wanted) std::copy(stored.bytes.begin(), stored.bytes.end(), out);
    return *stored.pixels;
  }
  const auto reader = ImageReader::open(stored.bytes, name);
  if (reader->size() == wanted) reader->read(Rect::whole(wanted), channels, 1, out);
  return reader->size();
}

std::int64_t ImageDataset::get(std::size_t index, std::span<std::byte> out) const {
  const std::vector<std::int64_t>& shape = spec().shape;
  const ImageSize wanted{static_cast<std::size_t>(shape[0]), static_cast<std::size_t>(shape[1])};
  Scratch scratch;
  const StoredImage stored = read(index, scratch);
  const ImageSize size = decode_whole(stored, name(index), static_cast<std::size_t>(shape[2]), wanted, out.data());
  if (size != wanted) throw_size_mismatch(name(index), size, wanted);
  return stored.label;
}

ImageSize ImageDataset::first_size() const {
  constexpr std::size_t tries = 100;
  std::exception_ptr first_error;
  Scratch scratch;
  for (std::size_t index = 0; index < std::min(size(), tries); ++index) {
    try {
      return size_of(read(index, scratch), name(index));
    } catch (const RunError&) {
      if (!first_error) first_error = std::current_exception();
    }
  }
  std::rethrow_exception(first_error);
}

}  // namespace trainyard
