/// nvJPEG, loaded at run time: LibTorch does not bring it, and its header is not always installed.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <cuda_runtime_api.h>

namespace trainyard {

/// nvjpegImage_t: where to write the planes of an image.
struct JpegPlanes {
  unsigned char* channel[4];
  std::size_t pitch[4];
};

/// A decoder of nvJPEG on the current device. Not thread-safe. Its functions return nvJPEG's status, 0 for success.
class Nvjpeg {
 public:
  static constexpr int no_such_unit = 7;  ///< NVJPEG_STATUS_ARCH_MISMATCH: the GPU has no JPEG engine

  /// nvjpegBackend_t.
  enum class Backend : int { gpu_hybrid = 2, hardware = 3 };

  /// Throws MachineError if nvJPEG cannot be found or is too old.
  Nvjpeg();
  ~Nvjpeg();
  Nvjpeg(const Nvjpeg&) = delete;
  Nvjpeg& operator=(const Nvjpeg&) = delete;

  int open(Backend backend);
  /// The sizes of a file's components, of which there are `components`.
  int describe(std::span<const std::byte> file, int& components, int (&widths)[4], int (&heights)[4]) const;
  /// Decodes `files` to their planes in YCbCr, without upsampling. The GPU's JPEG engine does not wait for work queued
  /// on `stream` before it writes.
  int decode(const std::vector<const unsigned char*>& files, const std::vector<std::size_t>& sizes,
             std::vector<JpegPlanes>& planes, cudaStream_t stream);

 private:
  void close();

  void* handle_ = nullptr;
  void* state_ = nullptr;
  std::size_t batch_size_ = 0;  ///< for which the state is prepared
};

}  // namespace trainyard
