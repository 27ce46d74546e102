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

template <typename Pixel>
at::Tensor normalize_on_gpu(const at::Tensor& images, const at::Tensor& scale, const at::Tensor& shift,
                            const Selection& selection) {
  const std::int64_t samples = selection.indices.defined() ? selection.indices.size(0) : images.size(0);
  const at::Tensor result =
      at::empty({samples, images.size(1), images.size(2), images.size(3)}, images.options().dtype(at::kFloat));
  const NormalizeTask<Pixel> task{.images = images.const_data_ptr<Pixel>(),
                                  .indices = data_or_null<std::int64_t>(selection.indices),
                                  .mirrored = data_or_null<bool>(selection.mirrored),
                                  .scale = scale.const_data_ptr<float>(),
                                  .shift = shift.const_data_ptr<float>(),
                                  .result = result.data_ptr<float>(),
                                  .samples = samples,
                                  .height = static_cast<std::uint32_t>(images.size(1)),
                                  .width = static_cast<std::uint32_t>(images.size(2)),
                                  .channels = static_cast<std::uint32_t>(images.size(3))};
  const c10::cuda::CUDAGuard on_device(images.device());
  C10_CUDA_CHECK(launch_normalize(task, c10::cuda::getCurrentCUDAStream()));
  return result;
}

}  // namespace

at::Tensor normalize_images(const at::Tensor& images, const at::Tensor& scale, const at::Tensor& shift,
                            const Selection& selection) {
  if (!images.is_cuda()) return normalize_by_operators(images, scale, shift, selection);
  const bool bytes = images.scalar_type() == at::kByte;
  return (bytes ? normalize_on_gpu<std::uint8_t> : normalize_on_gpu<float>)(images.contiguous(), scale, shift,
                                                                            selection);
}

}  // namespace trainyard
