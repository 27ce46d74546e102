/// Decodes, on the GPU, the images that workers leave to it (transforms/encoded_image.h). nvJPEG decompresses them to
/// planes; the rest is done as in libjpeg and Pillow, in the same integers. With the GPU's JPEG engine, the pixels are
/// those of transform.decode = exact, bit for bit; nvJPEG's inverse DCT on the multiprocessors rounds differently,
/// which changes a pixel by up to 4 of 255.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "loader/data_loader.h"
#include "transforms/encoded_image.h"
#include "util/torch.h"

namespace trainyard {

/// How many images were decoded by whom, in the order of DecodedBy.
using DecodeCounts = std::array<std::uint64_t, decoders>;

/// "12 of 1,000 images were decoded by the workers: 10 are no JPEG, 2 are JPEGs that the GPU does not decode"; empty
/// if the GPU has decoded all of them.
std::string describe(const DecodeCounts& counts);

/// For one device. Not thread-safe. nvJPEG uses 14 streams: to let them work beside a training step, set the
/// environment variable CUDA_DEVICE_MAX_CONNECTIONS to 32 before CUDA is initialized, as trainyard does.
class ImageDecoder {
 public:
  /// What decompresses the files.
  enum class Unit : std::uint8_t {
    engine,           ///< the GPU's JPEG engine
    multiprocessors,  ///< its multiprocessors, with the CPU's help
  };
  /// The engine if the GPU has one, otherwise the multiprocessors. Throws MachineError if nvJPEG cannot be loaded, or
  /// in a build without CUDA.
  explicit ImageDecoder(at::Device device);
  ImageDecoder(at::Device device, Unit unit);
  ~ImageDecoder();
  ImageDecoder(const ImageDecoder&) = delete;
  ImageDecoder& operator=(const ImageDecoder&) = delete;

  /// Returns the images of a field with encoded_bytes: uint8, N × height × width × channels. The work is queued on the
  /// current stream, also reading the batch's slot, which must not be released before it is done. A file that nvJPEG
  /// refuses is decoded on the CPU. Throws RunError if that fails too.
  at::Tensor decode(const Batch& batch, std::size_t field);

  /// Images so far.
  const DecodeCounts& counts() const { return counts_; }
  Unit unit() const { return unit_; }

 private:
  class Library;

  DecodeCounts counts_{};
  Unit unit_ = Unit::engine;
  at::Device device_;
  std::unique_ptr<Library> library_;
};

}  // namespace trainyard
