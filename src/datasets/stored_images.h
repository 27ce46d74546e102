/// Opens and decodes the stored images of a dataset (Field::is_stored_image).
#pragma once

#include <memory>
#include <string>

#include "datasets/dataset.h"

namespace trainyard {

/// Returns data.max_pixels and data.exif_orientation.
ImageOptions image_options(const DataConfig& config);

// The following functions take field `field` of sample `index` of `dataset`, as read() has stored it in `stored`. They
// throw RunError with the sample's name for a damaged file.

/// Opens the image; for a mask, the reader returns class indices. REQUIRES that it is a file.
std::unique_ptr<ImageReader> open_stored_image(const Dataset& dataset, std::size_t field, const StoredImage& stored,
                                               std::size_t index);
ImageSize stored_image_size(const Dataset& dataset, std::size_t field, const StoredImage& stored, std::size_t index);
/// Decodes the whole image in the field's channels into `out` if its size is `wanted`; returns its actual size.
ImageSize decode_whole(const Dataset& dataset, std::size_t field, const StoredImage& stored, std::size_t index,
                       ImageSize wanted, std::byte* out);

/// Returns the size of the first image of a field that can be opened. Throws RunError listing the errors if none can.
ImageSize first_image_size(const Dataset& dataset, std::size_t field);

/// Returns the size in bytes of the largest image file among at most `count` samples, spread evenly over the dataset.
/// Samples that cannot be read are left out.
std::size_t largest_image_file(const Dataset& dataset, std::size_t count);

/// Returns the fields "image", images of any size with `channels` channels, and "label".
std::vector<Field> image_and_label(std::int64_t channels, std::size_t classes);
/// Sets the size of all spatial fields of `fields`, which are those of `dataset`, to that of the first image of
/// fields[0].
void take_size_of_first_image(const Dataset& dataset, std::vector<Field>& fields);

/// Returns the fingerprint of images whose files have the fingerprint `content`: decoding also depends on the
/// channels and the options.
std::uint64_t image_fingerprint(std::uint64_t content, std::int64_t channels, const ImageOptions& options);

/// The common values for normalizing photographs: ImageNet's mean and standard deviation; for 1 channel, those of its
/// luma.
std::vector<float> usual_mean(std::int64_t channels);
std::vector<float> usual_std(std::int64_t channels);

/// Throws the error for an image called `name` that has `size` instead of `wanted`.
[[noreturn]] void throw_size_mismatch(const std::string& name, ImageSize size, ImageSize wanted);

}  // namespace trainyard
