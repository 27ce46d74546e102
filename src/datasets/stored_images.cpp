#include "datasets/stored_images.h"

#include <algorithm>

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

std::vector<float> usual_mean(std::int64_t channels) {
  return channels == 1 ? std::vector{0.459F} : std::vector{0.485F, 0.456F, 0.406F};
}

std::vector<float> usual_std(std::int64_t channels) {
  return channels == 1 ? std::vector{0.226F} : std::vector{0.229F, 0.224F, 0.225F};
}

ImageOptions image_options(const DataConfig& config) {
  return {.max_pixels = static_cast<std::size_t>(config.max_pixels), .upright = config.exif_orientation};
}

std::unique_ptr<ImageReader> open_stored_image(const Dataset& dataset, std::size_t field, const StoredImage& stored,
                                               std::size_t index) {
  const bool is_mask = dataset.fields()[field].is_mask();
  return (is_mask ? ImageReader::open_mask : ImageReader::open)(stored.bytes, dataset.image_name(field, index),
                                                                dataset.decoding());
}

ImageSize stored_image_size(const Dataset& dataset, std::size_t field, const StoredImage& stored, std::size_t index) {
  return stored.pixels ? *stored.pixels : open_stored_image(dataset, field, stored, index)->size();
}

ImageSize decode_whole(const Dataset& dataset, std::size_t field, const StoredImage& stored, std::size_t index,
                       ImageSize wanted, std::byte* out) {
  if (stored.pixels) {
    if (*stored.pixels == wanted) std::copy(stored.bytes.begin(), stored.bytes.end(), out);
    return *stored.pixels;
  }
  const auto reader = open_stored_image(dataset, field, stored, index);
  if (reader->size() == wanted) reader->read(Rect::whole(wanted), channels_of(dataset.fields()[field]), 1, out);
  return reader->size();
}

ImageSize first_image_size(const Dataset& dataset, std::size_t field) {
  constexpr std::size_t max_listed = 100;
  std::string errors;
  Sample sample;
  for (std::size_t index = 0; index < dataset.size(); ++index) {
    try {
      read_sample(dataset, index, sample);
      return stored_image_size(dataset, field, sample.stored(field), index);
    } catch (const RunError& error) {
      if (index < max_listed) errors += fmt::format("\n  {}", error.what());
    }
  }
  if (dataset.size() > max_listed) errors += fmt::format("\n  and {} more", dataset.size() - max_listed);
  throw RunError("data", "none of the {} images can be read:{}", dataset.size(), errors);
}

std::size_t largest_image_file(const Dataset& dataset, std::size_t count) {
  std::size_t largest = 0;
  Sample sample;
  const std::size_t step = std::max<std::size_t>((dataset.size() + count - 1) / count, 1);
  for (std::size_t index = 0; index < dataset.size(); index += step) {
    try {
      read_sample(dataset, index, sample);
    } catch (const RunError&) {  // reported when it is trained on
      continue;
    }
    for (std::size_t i = 0; i < dataset.fields().size(); ++i) {
      if (dataset.fields()[i].is_stored_image) largest = std::max(largest, sample.stored(i).bytes.size());
    }
  }
  return largest;
}

std::vector<Field> image_and_label(std::int64_t channels, std::size_t classes) {
  return {{.name = "image", .shape = {1, 1, channels}, .is_stored_image = true}, label_field(classes)};
}

void take_size_of_first_image(const Dataset& dataset, std::vector<Field>& fields) {
  const auto [height, width] = first_image_size(dataset, 0);
  for (Field& field : fields) {
    if (!field.is_spatial()) continue;
    field.shape[0] = static_cast<std::int64_t>(height);
    field.shape[1] = static_cast<std::int64_t>(width);
  }
}

std::uint64_t image_fingerprint(std::uint64_t content, std::int64_t channels, const ImageOptions& options) {
  return key_of({content, static_cast<std::uint64_t>(channels), options.upright ? 1U : 0U});
}

}  // namespace trainyard
