#include "loader_torch/normalize.h"
#include "loader_torch/picture_decoder.h"
#include "loader_torch/registered_memory.h"
#include "util/error.h"

namespace trainyard {

at::Tensor normalize_images(const at::Tensor& images, const at::Tensor& scale, const at::Tensor& shift,
                            const Selection& selection) {
  return normalize_by_operators(images, scale, shift, selection);
}

class PictureDecoder::Library {};

PictureDecoder::PictureDecoder(at::Device device) : PictureDecoder(device, Unit::engine) {}
PictureDecoder::PictureDecoder(at::Device device, Unit) : device_(device) {
  throw MachineError("loader", "transform.decode = gpu needs a build with CUDA; set it to exact");
}
PictureDecoder::~PictureDecoder() = default;
at::Tensor PictureDecoder::decode(const Batch&, std::size_t) { return {}; }

RegisteredMemory::RegisteredMemory(std::span<std::byte>) {}

}  // namespace trainyard
