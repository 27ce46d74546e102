/// The fields of a dataset that are pictures: how their stored bytes are opened and decoded.
#pragma once

#include <memory>
#include <string>

#include "datasets/dataset.h"

namespace trainyard {

/// data.max_pixels and data.exif_orientation.
ImageOptions image_options(const DataConfig& config);

// Field `field` of sample `index` of `dataset`, as read() has stored it in `stored`. They throw RunError with the
// sample's name for a damaged file.

/// A reader of it: of a mask, of the numbers of its classes. REQUIRES that it is a file.
std::unique_ptr<ImageReader> open_picture(const Dataset& dataset, std::size_t field, const StoredImage& stored,
                                          std::size_t index);
ImageSize picture_size(const Dataset& dataset, std::size_t field, const StoredImage& stored, std::size_t index);
/// Decodes it whole, in the field's channels, into `out` if it has the size `wanted`; returns the size that it has.
ImageSize decode_whole(const Dataset& dataset, std::size_t field, const StoredImage& stored, std::size_t index,
                       ImageSize wanted, std::byte* out);

/// The size of the first picture of a field that can be opened. Throws RunError that lists the errors if none can.
ImageSize first_picture_size(const Dataset& dataset, std::size_t field);

/// The fields "image", pictures of any size with so many channels, and "label".
std::vector<Field> picture_and_label(std::int64_t channels, std::size_t classes);
/// Gives all spatial fields of `fields`, which are those of `dataset`, the size of the first picture of fields[0].
void take_size_of_first_picture(const Dataset& dataset, std::vector<Field>& fields);

/// The fingerprint of pictures, if `content` is that of their files: what is decoded depends on the channels and the
/// options too.
std::uint64_t picture_fingerprint(std::uint64_t content, std::int64_t channels, const ImageOptions& options);

/// What most people normalise photographs by: mean and deviation of ImageNet's, of their luma for 1 channel.
std::vector<float> usual_mean(std::int64_t channels);
std::vector<float> usual_std(std::int64_t channels);

/// Of a picture and its name, as in an error: what it has and what was wanted.
[[noreturn]] void throw_size_mismatch(const std::string& name, ImageSize size, ImageSize wanted);

}  // namespace trainyard
