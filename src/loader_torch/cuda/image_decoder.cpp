#include "loader_torch/image_decoder.h"

#include <algorithm>
#include <span>
#include <vector>

#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "images/upright_reader.h"
#include "loader_torch/cuda/frame_kernels.h"
#include "loader_torch/cuda/nvjpeg.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/log.h"

namespace trainyard {
namespace {

constexpr std::size_t alignment = 256;
constexpr std::size_t most_planes = std::size_t{1} << 29;  // bytes of planes decompressed at once

/// An image that the GPU decodes.
struct Job {
  EncodedImage image;
  std::span<const std::byte> file;
  std::uint8_t* out;  ///< its first pixel, on the GPU

  std::size_t plane_bytes() const { return image.layout.stored.height * image.layout.stored.width; }
  ImageSize chroma() const {
    const JpegLayout& layout = image.layout;
    return {(layout.stored.height + layout.down - 1) / layout.down,
            (layout.stored.width + layout.across - 1) / layout.across};
  }
};

/// Hands out parts of one block of GPU memory. Used twice: to measure, and to hand out.
class Parts {
 public:
  explicit Parts(std::uint8_t* memory = nullptr) : memory_(memory) {}
  template <typename T = std::uint8_t>
  T* take(std::size_t count) {
    T* const part = reinterpret_cast<T*>(memory_ + used_);
    used_ += (count * sizeof(T) + alignment - 1) / alignment * alignment;
    return part;
  }
  std::size_t used() const { return used_; }

 private:
  std::uint8_t* memory_;
  std::size_t used_ = 0;
};

JpegPlanes take_planes(const Job& job, Parts& parts) {
  JpegPlanes planes{};
  planes.channel[0] = parts.take(job.plane_bytes());
  planes.pitch[0] = job.image.layout.stored.width;
  const ImageSize chroma = job.chroma();
  for (int i = 1; i < job.image.layout.components; ++i) {
    planes.channel[i] = parts.take(chroma.height * chroma.width);
    planes.pitch[i] = chroma.width;
  }
  return planes;
}

ScaledAxis axis_of(std::size_t inputs, std::size_t scaled, std::ptrdiff_t begin, std::size_t size, bool bicubic,
                   Parts& parts) {
  const std::ptrdiff_t first = std::max<std::ptrdiff_t>(begin, 0);
  const std::ptrdiff_t end = std::min(begin + static_cast<std::ptrdiff_t>(size), static_cast<std::ptrdiff_t>(scaled));
  ScaledAxis axis{.inputs = static_cast<std::uint32_t>(inputs),
                  .scaled = static_cast<std::uint32_t>(scaled),
                  .first = static_cast<std::uint32_t>(first),
                  .count = static_cast<std::uint32_t>(end - first),
                  .most = 0,
                  .windows = nullptr,
                  .weights = nullptr};
  axis.most = most_inputs(axis.inputs, axis.scaled, bicubic);
  axis.windows = parts.take<ScaledAxis::Window>(axis.count);
  axis.weights = parts.take<std::int32_t>(std::size_t{axis.count} * axis.most);
  return axis;
}

FrameTask task_of(const Job& job, const JpegPlanes& planes, std::size_t channels, Parts& parts) {
  const JpegLayout& layout = job.image.layout;
  const auto& [region, scaled, filter, window] = job.image.framing;
  const Turn turn(layout.orientation);
  const bool bicubic = filter == Filter::bicubic;
  FrameTask task{};
  task.luma = planes.channel[0];
  task.blue = planes.channel[1];
  task.red = planes.channel[2];
  task.height = static_cast<std::uint32_t>(layout.stored.height);
  task.width = static_cast<std::uint32_t>(layout.stored.width);
  task.down = layout.down;
  task.across = layout.across;
  const Rect part = turn.stored_part(region, layout.stored);
  task.part_top = static_cast<std::uint32_t>(part.top);
  task.part_left = static_cast<std::uint32_t>(part.left);
  task.part_height = static_cast<std::uint32_t>(part.height);
  task.part_width = static_cast<std::uint32_t>(part.width);
  task.region = parts.take(region.height * region.width * pixel_bytes(channels));
  const auto width = static_cast<std::int32_t>(region.width);
  task.step_down = (turn.transpose ? 1 : width) * (turn.mirror_rows ? -1 : 1);
  task.step_right = (turn.transpose ? width : 1) * (turn.mirror_columns ? -1 : 1);
  if (turn.mirror_rows) task.corner -= (task.part_height - 1) * task.step_down;
  if (turn.mirror_columns) task.corner -= (task.part_width - 1) * task.step_right;
  task.rows = axis_of(region.height, scaled.height, window.top, window.height, bicubic, parts);
  task.columns = axis_of(region.width, scaled.width, window.left, window.width, bicubic, parts);
  task.bicubic = bicubic;
  // As in resample().
  const auto shrinks_by = [](const ScaledAxis& axis) { return std::int64_t{axis.inputs} - std::int64_t{axis.scaled}; };
  task.rows_first = shrinks_by(task.rows) > 0 && shrinks_by(task.rows) > 2 * shrinks_by(task.columns);
  task.between = parts.take((task.rows_first ? std::size_t{task.rows.count} * region.width
                                             : region.height * std::size_t{task.columns.count}) *
                            pixel_bytes(channels));
  task.row_step = static_cast<std::int64_t>(window.width * channels);
  task.pixel_step = job.image.mirrored ? -static_cast<std::int64_t>(channels) : static_cast<std::int64_t>(channels);
  const std::int64_t top = std::max<std::int64_t>(-window.top, 0);
  const std::int64_t left = std::max<std::int64_t>(-window.left, 0);
  const std::int64_t column = job.image.mirrored ? static_cast<std::int64_t>(window.width) - 1 - left : left;
  task.out = job.out + top * task.row_step + column * static_cast<std::int64_t>(channels);
  return task;
}

// Whether nvJPEG sees the file as libjpeg does: it must not write more than there is memory for.
bool is_as_described(const Nvjpeg& nvjpeg, const Job& job) {
  int components = 0;
  int widths[4] = {};
  int heights[4] = {};
  if (nvjpeg.describe(job.file, components, widths, heights) != 0) return false;
  const JpegLayout& layout = job.image.layout;
  if (components != layout.components) return false;
  const auto is = [&](int i, ImageSize size) {
    return std::cmp_equal(widths[i], size.width) && std::cmp_equal(heights[i], size.height);
  };
  return is(0, layout.stored) && (components == 1 || (is(1, job.chroma()) && is(2, job.chroma())));
}

bool is_complete(const Framing& framing) { return framing.window.lies_in(framing.scaled); }

}  // namespace

/// nvJPEG, and memory for two parts of a batch: one is framed while the next is decompressed.
class ImageDecoder::Library {
 public:
  explicit Library(at::Device device) : device_(device) {}

  Nvjpeg nvjpeg;

  /// Decodes `jobs`, and queues the rest of the work on the current stream. Returns nvJPEG's status; unless it is 0,
  /// nothing has been done.
  int decode(std::span<const Job> jobs, std::size_t channels) {
    Memory& memory = memories_[turn_];
    turn_ = 1 - turn_;
    memory.done.synchronize();  // the JPEG engine does not wait for what is queued
    Parts sizes;
    for (const Job& job : jobs) task_of(job, take_planes(job, sizes), channels, sizes);
    const std::size_t task_bytes = jobs.size() * sizeof(FrameTask);
    const std::size_t tasks_begin = sizes.used();
    sizes.take(task_bytes);
    const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream();
    reserve(memory.on_gpu, sizes.used(), at::TensorOptions(device_).dtype(at::kByte), stream);
    reserve(memory.pinned, task_bytes, at::TensorOptions().dtype(at::kByte).pinned_memory(true), stream);

    auto* const on_gpu = memory.on_gpu.mutable_data_ptr<std::uint8_t>();
    auto* const tasks = reinterpret_cast<FrameTask*>(memory.pinned.mutable_data_ptr<std::uint8_t>());
    Parts parts(on_gpu);
    std::vector<const unsigned char*> files;
    std::vector<std::size_t> lengths;
    std::vector<JpegPlanes> planes;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      files.push_back(reinterpret_cast<const unsigned char*>(jobs[i].file.data()));
      lengths.push_back(jobs[i].file.size());
      planes.push_back(take_planes(jobs[i], parts));
      tasks[i] = task_of(jobs[i], planes.back(), channels, parts);
    }
    if (const int status = nvjpeg.decode(files, lengths, planes, stream)) return status;
    C10_CUDA_CHECK(cudaMemcpyAsync(on_gpu + tasks_begin, tasks, task_bytes, cudaMemcpyHostToDevice, stream));
    C10_CUDA_CHECK(launch_frames(reinterpret_cast<const FrameTask*>(on_gpu + tasks_begin),
                                 static_cast<unsigned>(jobs.size()), static_cast<unsigned>(channels), stream));
    memory.done.record(stream);
    return 0;
  }

 private:
  struct Memory {
    at::Tensor on_gpu;  ///< planes, everything that framing needs, and its tasks
    at::Tensor pinned;  ///< the tasks
    at::cuda::CUDAEvent done{cudaEventDisableTiming | cudaEventBlockingSync};
  };

  // Grows by half more, so that batches of other files seldom need more.
  static void reserve(at::Tensor& memory, std::size_t bytes, const at::TensorOptions& options,
                      const c10::cuda::CUDAStream& stream) {
    if (memory.defined() && static_cast<std::size_t>(memory.numel()) >= bytes) return;
    memory.reset();
    memory = at::empty({static_cast<std::int64_t>(bytes + bytes / 2)}, options);
    stream.synchronize();  // what was in that memory before may still be in use there
  }

  at::Device device_;
  std::array<Memory, 2> memories_;
  std::size_t turn_ = 0;
};

ImageDecoder::ImageDecoder(at::Device device) : ImageDecoder(device, Unit::engine) {}

ImageDecoder::ImageDecoder(at::Device device, Unit unit)
    : unit_(unit), device_(device), library_(std::make_unique<Library>(device)) {
  const c10::cuda::CUDAGuard on_device(device);
  int status = Nvjpeg::no_such_unit;
  if (unit == Unit::engine) status = library_->nvjpeg.open(Nvjpeg::Backend::hardware);
  if (status == Nvjpeg::no_such_unit) {
    unit_ = Unit::multiprocessors;
    status = library_->nvjpeg.open(Nvjpeg::Backend::gpu_hybrid);
  }
  if (status != 0) {
    throw MachineError("loader",
                       "nvJPEG cannot be used on {}: status {}; set transform.decode = exact, or update the driver",
                       device.str(), status);
  }
}

ImageDecoder::~ImageDecoder() = default;

at::Tensor ImageDecoder::decode(const Batch& batch, std::size_t index) {
  const c10::cuda::CUDAGuard on_device(device_);
  const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream();
  const BatchField& values = batch.fields()[index];
  const Field& field = *values.field;
  const auto count = static_cast<std::int64_t>(batch.count());
  const std::size_t bytes = field.elements();
  const at::Tensor images =
      at::empty({count, field.shape[0], field.shape[1], field.shape[2]}, at::TensorOptions(device_).dtype(at::kByte));
  auto* const out = images.mutable_data_ptr<std::uint8_t>();

  std::vector<Job> jobs;
  std::vector<Job> refused;
  for (std::size_t i = 0; i < batch.count(); ++i) {
    const auto place = values.elements.subspan(i * field.encoded_bytes, field.encoded_bytes);
    const auto rest = place.subspan(encoded_image_start);
    const EncodedImage image = read_header(place);
    ++counts_.at(static_cast<std::size_t>(image.decoded_by));
    if (image.decoded_by != DecodedBy::gpu) {
      C10_CUDA_CHECK(cudaMemcpyAsync(out + i * bytes, rest.data(), bytes, cudaMemcpyHostToDevice, stream));
      continue;
    }
    const Job job{image, rest.first(image.file_bytes), out + i * bytes};
    if (!is_complete(image.framing)) C10_CUDA_CHECK(cudaMemsetAsync(job.out, 0, bytes, stream));
    (is_as_described(library_->nvjpeg, job) ? jobs : refused).push_back(job);
  }

  const auto channels = static_cast<std::size_t>(field.shape[2]);
  for (std::size_t begin = 0; begin < jobs.size();) {
    std::size_t end = begin;
    for (std::size_t planes = 0; end < jobs.size() && (end == begin || planes < most_planes); ++end) {
      planes += 3 * jobs[end].plane_bytes();
    }
    const std::span<const Job> some(jobs.data() + begin, end - begin);
    if (const int status = library_->decode(some, channels)) {
      if (counts_.at(static_cast<std::size_t>(DecodedBy::trainer)) == 0) {
        log_warning("[loader] nvJPEG refuses {} with status {}; the CPU decodes them", count_of(some.size(), "image"),
                    status);
      }
      refused.insert(refused.end(), some.begin(), some.end());
    }
    begin = end;
  }
  for (const Job& job : refused) {
    std::vector<std::byte> pixels(bytes);
    decode_on_cpu(job.image, job.file, channels, pixels.data());
    C10_CUDA_CHECK(cudaMemcpyAsync(job.out, pixels.data(), bytes, cudaMemcpyHostToDevice, stream));  // copies at once
    --counts_.at(static_cast<std::size_t>(DecodedBy::gpu));
    ++counts_.at(static_cast<std::size_t>(DecodedBy::trainer));
  }
  return images;
}

}  // namespace trainyard
