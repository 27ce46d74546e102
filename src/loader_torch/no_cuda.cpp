#include "loader_torch/image_decoder.h"
#include "loader_torch/normalize.h"
#include "loader_torch/peer_memory.h"
#include "loader_torch/registered_memory.h"
#include "util/error.h"

namespace trainyard {

at::Tensor normalize_images(const at::Tensor& images, const Normalization& normalization, const Selection& selection) {
  return normalize_by_operators(images, normalization, selection);
}

class ImageDecoder::Library {};

ImageDecoder::ImageDecoder(at::Device device) : ImageDecoder(device, Unit::engine) {}
ImageDecoder::ImageDecoder(at::Device device, Unit) : device_(device) {
  throw MachineError("loader", "transform.decode = gpu needs a build with CUDA; set it to exact");
}
ImageDecoder::~ImageDecoder() = default;
at::Tensor ImageDecoder::decode(const Batch&, std::size_t) { return {}; }

at::Tensor empty_on_peers(at::IntArrayRef, at::ScalarType, at::Device, const HostGroup&) {
  throw MachineError("loader", "loader.cache = gpu needs a build with CUDA; set it to none or shm");
}

RegisteredMemory::RegisteredMemory(std::span<std::byte>) {}

}  // namespace trainyard
