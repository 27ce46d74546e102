/// Launches the kernels that turn decompressed JPEGs into images: chroma upsampling and colour conversion as in
/// libjpeg, then cropping and scaling as in Pillow (images/resample.h), bit for bit. Includes no LibTorch header.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cuda_runtime_api.h>

namespace trainyard {

/// One axis of a scaling: `inputs` pixels become `scaled`, of which `count` from `first` on are computed.
struct ScaledAxis {
  /// The inputs of one output.
  struct Window {
    std::uint32_t first;
    std::uint32_t count;
  };
  std::uint32_t inputs, scaled, first, count;
  std::uint32_t most;     ///< an upper bound of the inputs of an output
  Window* windows;        ///< memory for `count`
  std::int32_t* weights;  ///< memory for `most` × `count`, in units of 1 / 2^22
};

/// Returns the upper bound for an axis.
constexpr std::uint32_t most_inputs(std::uint32_t inputs, std::uint32_t scaled, bool bicubic) {
  const std::uint32_t stretch = (inputs + scaled - 1) / scaled;  // rounded up
  return 2 * (bicubic ? 2 : 1) * stretch + 2;
}

/// One image. All pointers are to GPU memory.
struct FrameTask {
  // The planes of the stored image, contiguous: luma height × width; chroma, if there is any, of the size divided by
  // `down` and `across` and rounded up. The byte after a plane is read too, as is that before a plane of chroma.
  const std::uint8_t* luma;
  const std::uint8_t* blue;
  const std::uint8_t* red;  ///< null: grey
  std::uint32_t height, width;
  std::uint8_t down, across;
  std::uint32_t part_top, part_left, part_height, part_width;  ///< the part of the stored image that is scaled
  void* region;                                                ///< memory for the pixels of that part, upright
  // The place in the region of the part's first pixel, and the steps from it to the next pixels down and to the right.
  std::uint32_t corner;
  std::int32_t step_down, step_right;
  // The region is scaled, and rows.count × columns.count pixels of the result are written.
  ScaledAxis rows, columns;
  bool bicubic;
  bool rows_first;          ///< whether the vertical pass precedes the horizontal one
  void* between;            ///< memory for the result of the first pass
  std::uint8_t* out;        ///< where the first pixel is written
  std::int64_t row_step;    ///< from one row of the output to the next, in bytes
  std::int64_t pixel_step;  ///< from one pixel to the next, in bytes; negative if it is mirrored
};

/// Returns the bytes that a pixel takes in `region` and `between`.
constexpr std::size_t pixel_bytes(std::size_t channels) { return channels == 3 ? 4 : 1; }

/// Frames `count` images of `channels` (1 or 3), described by `tasks` in GPU memory. Asynchronous on `stream` of the
/// current device; returns the error of the launches.
cudaError_t launch_frames(const FrameTask* tasks, unsigned count, unsigned channels, cudaStream_t stream);

}  // namespace trainyard
