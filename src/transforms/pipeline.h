/// Applies the transforms of one split, in order, to the samples of its dataset.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "transforms/lazy_image.h"

namespace trainyard {

/// The random_horizontal_flip that ends a pipeline, for code that performs it in the pipeline's place: the same draws.
struct RandomMirror {
  std::uint64_t place = 0;  ///< position among the transforms
  std::uint64_t name_key = 0;
  double p = 0;

  /// Whether sample `index` is flipped horizontally in `epoch`.
  bool operator()(std::uint64_t seed, std::uint64_t epoch, std::uint64_t index) const;
  bool operator==(const RandomMirror&) const = default;
};

/// Throws UsageError for an unknown transform, or for an argument that its transform does not have or allow.
void check_transforms(const std::vector<std::string>& specs);

/// Those of `specs` that draw random numbers. Throws what check_transforms() throws.
std::vector<std::string> random_transforms(const std::vector<std::string>& specs);

/// The elements of one field of a sample.
struct FieldContent {
  std::vector<std::byte> bytes;
  ImageSize size{};  ///< for spatial fields
};

/// Returns `field` with the height and width of `content`, if it is spatial.
Field field_of(const Field& field, const FieldContent& content);

/// Owns working memory: for one thread of one process. An empty pipeline returns samples as the dataset reads them.
class TransformPipeline {
 public:
  TransformPipeline() = default;
  /// Builds each of `specs` ("name" or "name(key=value, ...)") for samples of `fields`. Throws UsageError, also if
  /// there are specs but no field is an image, for transforms that cannot act on a mask in the samples, and with
  /// DecodeMode::gpu for transforms other than crops, resizes and a final random_horizontal_flip, and with any mode but
  /// exact for samples without stored images.
  TransformPipeline(const std::vector<std::string>& specs, const std::vector<Field>& fields,
                    DecodeMode decode = DecodeMode::exact);

  /// With DecodeMode::gpu, leaves the files of images up to `bytes` to the GPU: read() then writes an EncodedImage
  /// (encoded_image.h) in place of an image's elements. Call before fields().
  void leave_files_to_gpu(std::size_t bytes);

  /// The fields of `dataset` with their shapes after the transforms, as read() writes them.
  const std::vector<Field>& fields(const Dataset& dataset) const {
    return fields_.empty() ? dataset.fields() : fields_;
  }

  /// Writes sample `index` of `dataset`, transformed, to `out`: for each field a span of the bytes of fields(dataset),
  /// or of its rows if it varies. Randomness is a function of (seed, epoch, index, the transform's position and name)
  /// alone. Throws RunError, also for an image whose final size is not its field's, with both sizes, and for a mask
  /// whose size differs from its image. `unmirrored`: without mirror().
  void read(const Dataset& dataset, std::size_t index, std::uint64_t seed, std::uint64_t epoch,
            std::span<const std::span<std::byte>> out, bool unmirrored = false) const;

  /// The same for a sample whose spatial fields may have any size after the transforms.
  std::vector<FieldContent> read_any_size(const Dataset& dataset, std::size_t index, std::uint64_t seed,
                                          std::uint64_t epoch) const;

  DecodeMode decode() const { return decode_; }
  /// The size that images of `size` have after the transforms.
  ImageSize size_after(ImageSize size) const;
  /// The last transform, if it is a random_horizontal_flip.
  std::optional<RandomMirror> mirror() const;
  /// The name of the first transform, except mirror(), whose effect differs between epochs; empty if there is none.
  std::string first_random_transform() const;

  /// Returns the transformed image; it may have any size.
  Image apply(const ConstImageView& image, std::uint64_t seed, std::uint64_t epoch, std::uint64_t index) const;

 private:
  struct Stage {
    std::string name;
    std::uint64_t name_key;
    bool frames;
    std::unique_ptr<Transform> transform;
  };
  /// The state for one spatial field.
  struct Spatial {
    std::unique_ptr<ImageReader> reader;  ///< null: the sample's pixels
    ConstImageView pixels;
    LazyImage::Memory image;

    ImageSize size() const { return reader ? reader->size() : pixels.size(); }
  };
  struct Memory {
    Sample sample;
    std::vector<Spatial> spatial;  ///< one per field
  };
  struct Pass;

  void expect(std::span<const Field> given, std::span<const std::span<std::byte>> out) const;
  void transform(const Dataset& dataset, const Pass& pass, std::span<const std::span<std::byte>> out) const;
  void transform_field(const Dataset& dataset, std::size_t i, const Pass& pass, std::span<std::byte> out) const;
  void open(const Dataset& dataset, std::size_t index) const;
  void require_size_of_masks(const Dataset& dataset, std::size_t index) const;
  LazyImage lazy(const Field& field, Spatial& spatial) const;
  void apply(std::size_t place, const ImageView& image, bool is_mask, const Pass& pass) const;
  void run(LazyImage& image, bool is_mask, const Pass& pass, std::size_t end) const;
  void change(const ImageView& image, bool is_mask, const Pass& pass) const;
  void finish(LazyImage& image, bool is_mask, const Pass& pass, std::byte* out) const;
  Image finish(LazyImage& image, bool is_mask, const Pass& pass) const;

  std::vector<Stage> stages_;
  std::vector<Field> fields_;  ///< empty: the dataset's
  std::size_t framed_ = 0;     ///< number of stages up to and including the last one that frames
  DecodeMode decode_ = DecodeMode::exact;
  std::unique_ptr<Memory> memory_ = std::make_unique<Memory>();
};

}  // namespace trainyard
