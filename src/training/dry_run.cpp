#include "training/dry_run.h"

#include <algorithm>
#include <cmath>

#include <fmt/ranges.h>

#include "images/encode_png.h"
#include "loader_torch/device_loader.h"
#include "models/freeze.h"
#include "optim/optimizer.h"
#include "report/thumbnail.h"
#include "tasks/sample_image.h"
#include "training/forward.h"
#include "training/initial_weights.h"
#include "training/memory.h"
#include "training/require_batches.h"
#include "training/require_model_takes.h"
#include "training/saved_run.h"
#include "training/seed.h"
#include "training/train_step.h"
#include "training/trained_model.h"
#include "util/atomic_file.h"
#include "util/count_of.h"
#include "util/output_file.h"
#include "util/size_text.h"

namespace trainyard {
namespace {

constexpr std::int64_t max_images = 256;
constexpr std::size_t thumbnail_side = 224;

std::uint64_t memory_of(const NamedTensors& tensors) {
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : tensors) bytes += tensor.nbytes();
  return bytes;
}

std::int64_t trained_count(const Model& model) {
  std::int64_t count = 0;
  for (const at::Tensor& parameter : model.parameters()) count += parameter.requires_grad() ? parameter.numel() : 0;
  return count;
}

void write_images(const DeviceField& images, const std::filesystem::path& path) {
  std::vector<Image> thumbnails;
  for (std::int64_t i = 0; i < std::min(images.tensor().size(0), max_images); ++i) {
    thumbnails.push_back(thumbnail(sample_image(images, i), thumbnail_side));
  }
  const auto columns = static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(thumbnails.size()))));
  const std::string file = encode_png(image_grid(thumbnails, columns));
  make_folders(path.parent_path());
  write_output_file(path, file, "train.dry_run");
}

}  // namespace

std::string dry_run(const Config& config, WorkerPool& pool, at::Device device, const std::filesystem::path& run) {
  const DataLoaderOptions order{.shuffle = true, .drop_last = config.loader.drop_last};
  const SplitInfo& data = pool.splits().front();
  const std::unique_ptr<Task> task = make_task(config.task, task_data(data), device);
  const MetricSet metrics(task->metrics(Phase::train));
  seed_generators(device, config.train.seed);
  const std::shared_ptr<Model> model = new_model(config.model, task->model_input(), device);
  require_model_takes(*model, config, pool.splits());
  load_initial_weights(*model, config.model);
  require_batches(config, data.size, /*reaches_last=*/true, /*ranks=*/1, *model, task->model_input());
  const std::unique_ptr<Optimizer> optimizer = make_optimizer(config.optimizer, *model);
  ProcessGroup alone;
  TrainStep step(*model, *optimizer, *task, metrics, config.train, alone);
  model->train();
  DeviceLoader batches(pool, Split::train, order, device);
  batches.start_epoch(0);
  const std::optional<DeviceBatch> batch = batches.next();
  const bool has_images = batch && find_field(data.fields, "image") != nullptr;
  if (has_images) write_images(batch->field("image"), run / "batch.png");
  const MemoryCount memory(device);
  double loss = 0;
  if (batch) {
    TensorDict prepared = prepare(*task, *batch, config.train.precision);
    task->augment(prepared, {.seed = config.train.seed, .epoch = 0, .number = 0});
    loss = step(prepared, config.optimizer.lr).loss.item<double>();
  }

  std::size_t sample_bytes = 0;
  for (const Field& field : data.fields) sample_bytes += field.bytes();
  const std::uint64_t batch_bytes = sample_bytes * static_cast<std::uint64_t>(config.loader.batch_size);
  std::string text;
  const auto row = [&text](const char* name, const std::string& value) {
    text += fmt::format("  {:<15}{}\n", name, value);
  };
  row("model", fmt::format("{}, {} trained parameters, {}", config.model.name, trained_count(*model),
                           size_text(memory_of(model->state_dict()))));
  if (const std::string frozen = describe_frozen(*model); !frozen.empty()) row("frozen", frozen);
  row("optimizer", fmt::format("{}, state of {}", config.optimizer.name, size_text(memory_of(optimizer->state()))));
  row("one step", fmt::format("loss {:.4f}, at most {} beside the weights, on {}", loss,
                              size_text(static_cast<std::uint64_t>(memory.peak())), device.str()));
  row("batch",
      fmt::format("{} of {}, {}; {} per pass over the data, {} per epoch", count_of(config.loader.batch_size, "sample"),
                  describe(data.fields), size_text(batch_bytes), count_of(batches.batches(), "batch", "batches"),
                  count_of(RunPlan(config.train, batches.batches()).steps_per_epoch(), "step")));
  const Monitor monitor = task->monitor();
  row("monitor", fmt::format("val/{}, {} is better", monitor.metric, monitor.higher_is_better ? "higher" : "lower"));
  if (has_images) row("images", (run / "batch.png").string());
  row("checkpoints",
      described(prove_saving_of(config, pool.splits(), monitor, *model, *optimizer, run / "checkpoints")));
  return text;
}

}  // namespace trainyard
