/// The transforms of one split, applied in order to what its dataset gives.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "datasets/image_dataset.h"
#include "transforms/lazy_image.h"

namespace trainyard {

/// The random_horizontal_flip that ends a pipeline, for whoever does it in the pipeline's place: the same draws.
struct RandomMirror {
  std::uint64_t place = 0;  ///< among the transforms
  std::uint64_t name_key = 0;
  double p = 0;

  /// Whether sample `index` is mirrored left and right in `epoch`.
  bool operator()(std::uint64_t seed, std::uint64_t epoch, std::uint64_t index) const;
  bool operator==(const RandomMirror&) const = default;
};

/// Throws UsageError for what is no transform, or has an argument that its transform does not have or allow.
void check_transforms(const std::vector<std::string>& specs);

/// Has memory of its own to work in: for one thread of one process. Empty, it hands on what the dataset gives.
class TransformPipeline {
 public:
  TransformPipeline() = default;
  /// Builds each of `specs` ("name" or "name(key=value, ...)") for samples that look like `sample`. Throws UsageError,
  /// also where there are specs and the samples are not uint8 images of one size.
  TransformPipeline(const std::vector<std::string>& specs, const SampleSpec& sample,
                    DecodeMode decode = DecodeMode::exact);

  /// What becomes of the samples of `dataset`: what read() writes.
  const SampleSpec& spec(const Dataset& dataset) const { return spec_ ? *spec_ : dataset.spec(); }

  /// Writes sample `index` of `dataset`, transformed, to `out`, which has spec(dataset).bytes(), and returns its label.
  /// Randomness is a function of (seed, epoch, index, the transform's place and name) alone. Throws RunError; for a
  /// picture that does not come out at the size of `out`, too, with both sizes. `unmirrored`: without mirror().
  std::int64_t read(const Dataset& dataset, std::size_t index, std::uint64_t seed, std::uint64_t epoch,
                    std::span<std::byte> out, bool unmirrored = false) const;

  DecodeMode decode() const { return decode_; }
  /// The last transform, where it is a random_horizontal_flip.
  std::optional<RandomMirror> mirror() const;
  /// The name of the first transform, but for mirror(), that does something else in each epoch; empty: there is none.
  std::string first_drawn_anew() const;

  /// What becomes of one picture, whatever its size.
  Image apply(const ConstImageView& image, std::uint64_t seed, std::uint64_t epoch, std::uint64_t index) const;
  /// The same of a picture that a dataset has stored.
  Image apply(const ImageDataset& dataset, std::size_t index, std::uint64_t seed, std::uint64_t epoch) const;

 private:
  struct Stage {
    std::string name;
    std::uint64_t name_key;
    bool frames;
    std::unique_ptr<Transform> transform;
  };
  struct Memory {
    Scratch file;
    LazyImage::Memory image;
  };
  /// The stages' random numbers for one sample.
  class Draws;

  void run(LazyImage& image, std::size_t begin, std::size_t end, const Draws& draws) const;
  void change(const ImageView& image, const Draws& draws, std::size_t end) const;
  void finish(LazyImage& image, const Draws& draws, std::size_t end, const std::string& name, ImageSize size,
              std::byte* out) const;
  Image finish(LazyImage& image, const Draws& draws) const;

  std::vector<Stage> stages_;
  std::optional<SampleSpec> spec_;  ///< where there are stages
  std::size_t framed_ = 0;          ///< stages up to and with the last one that frames
  DecodeMode decode_ = DecodeMode::exact;
  std::unique_ptr<Memory> memory_ = std::make_unique<Memory>();
};

}  // namespace trainyard
