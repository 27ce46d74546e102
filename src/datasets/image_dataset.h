/// Datasets of pictures that are decoded when they are read, and that may differ in size.
#pragma once

#include <optional>
#include <string>

#include "datasets/dataset.h"
#include "images/decode_image.h"

namespace trainyard {

/// A picture as a dataset keeps it.
struct StoredImage {
  std::span<const std::byte> bytes;  ///< a JPEG or PNG file, or pixels of as many channels as the samples have
  std::optional<ImageSize> pixels;   ///< the size, where they are pixels
  std::int64_t label = 0;
};

/// data.max_pixels and data.exif_orientation.
ImageOptions image_options(const DataConfig& config);

/// A dataset that hands out pictures as they are stored, so that the transforms can decode no more of them than they
/// keep. Written against like any Dataset: read() and name() take the place of get(). Its spec() is uint8, of the size
/// of the first picture; only without a transform that decides the size must all have that size.
class ImageDataset : public Dataset {
 public:
  /// Image `index`, 0 <= index < size(); a view of the dataset's own memory or of `scratch`, into which it may read.
  /// Called as get() is. Throws RunError that names the picture.
  virtual StoredImage read(std::size_t index, Scratch& scratch) const = 0;

  /// What errors call picture `index`: its path.
  std::string name(std::size_t index) const override = 0;

  /// Decodes the whole picture; throws RunError with both sizes for one that is not of the size of the first.
  std::int64_t get(std::size_t index, std::span<std::byte> out) const final;

  // Image `index`, as read() has given it in `stored`. They throw RunError with its name for a damaged file.

  /// A reader of it. REQUIRES that it is a file.
  std::unique_ptr<ImageReader> open(const StoredImage& stored, std::size_t index) const;
  ImageSize size_of(const StoredImage& stored, std::size_t index) const;
  /// Decodes it whole, in the samples' channels, into `out` if it has the size `wanted`; returns the size that it has.
  ImageSize decode_whole(const StoredImage& stored, std::size_t index, ImageSize wanted, std::byte* out) const;
  const ImageOptions& options() const { return options_; }

 protected:
  explicit ImageDataset(const ImageOptions& options = {}) : options_(options) {}

  /// The size of the first picture that can be opened. Throws RunError that lists the errors if none can.
  ImageSize first_size() const;
  /// Of the samples, if `content` is that of the files: what is decoded depends on the channels and the options too.
  std::uint64_t fingerprint_of(std::uint64_t content) const;

 private:
  ImageOptions options_;
};

/// What most people normalise photographs by: mean and deviation of ImageNet's, of their luma for 1 channel.
std::vector<float> usual_mean(const SampleSpec& sample);
std::vector<float> usual_std(const SampleSpec& sample);

/// Of a picture and its name, as in an error: what it has and what was wanted.
[[noreturn]] void throw_size_mismatch(const std::string& name, ImageSize size, ImageSize wanted);

}  // namespace trainyard
