#include "loader_torch/normalize.h"

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "loader_torch/cuda/normalize_kernel.h"

namespace trainyard {
namespace {

template <typename T>
const T* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<T>() : nullptr;
}

template <typename Pixel, typename Result>
void normalize_to(const at::Tensor& result, const at::Tensor& images, const Normalization& normalization,
                  const Selection& selection) {
  const NormalizeTask<Pixel, Result> task{.images = images.const_data_ptr<Pixel>(),
                                          .indices = data_or_null<std::int64_t>(selection.indices),
                                          .mirrored = data_or_null<bool>(selection.mirrored),
                                          .scale = normalization.scale.const_data_ptr<float>(),
                                          .shift = normalization.shift.const_data_ptr<float>(),
                                          .result = static_cast<Result*>(result.mutable_data_ptr()),
                                          .samples = result.size(0),
                                          .height = static_cast<std::uint32_t>(images.size(1)),
                                          .width = static_cast<std::uint32_t>(images.size(2)),
                                          .channels = static_cast<std::uint32_t>(images.size(3))};
  const c10::cuda::CUDAGuard on_device(images.device());
  C10_CUDA_CHECK(launch_normalize(task, c10::cuda::getCurrentCUDAStream()));
}

template <typename Pixel>
at::Tensor normalize_on_gpu(const at::Tensor& images, const Normalization& normalization, const Selection& selection) {
  const std::int64_t samples = selection.indices.defined() ? selection.indices.size(0) : images.size(0);
  const at::Tensor result =
      at::empty({samples, images.size(1), images.size(2), images.size(3)}, images.options().dtype(normalization.type));
  switch (normalization.type) {
    case at::kHalf:
      normalize_to<Pixel, __half>(result, images, normalization, selection);
      break;
    case at::kBFloat16:
      normalize_to<Pixel, __nv_bfloat16>(result, images, normalization, selection);
      break;
    default:
      normalize_to<Pixel, float>(result, images, normalization, selection);
  }
  return result;
}

}  // namespace

at::Tensor normalize_images(const at::Tensor& images, const Normalization& normalization, const Selection& selection) {
  if (!images.is_cuda()) return normalize_by_operators(images, normalization, selection);
  const bool bytes = images.scalar_type() == at::kByte;
  return (bytes ? normalize_on_gpu<std::uint8_t> : normalize_on_gpu<float>)(images.contiguous(), normalization,
                                                                            selection);
}

}  // namespace trainyard
