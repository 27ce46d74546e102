// Measures the cost of a checkpoint of ResNet-50 with optimizer state and averaged weights:
//   checkpoint_cost DEVICE FOLDER
//
// The step waits only for the copy; the write continues in the background. The disk's own rate is that of one file of
// the same size, including fsync.

#include <chrono>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "checkpoint/checkpoint_writer.h"
#include "models/model.h"
#include "optim/optimizer.h"

using namespace trainyard;
using Clock = std::chrono::steady_clock;

namespace {

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double write_plain_file(const std::filesystem::path& path, std::size_t bytes) {
  const std::string chunk(std::size_t{8} << 20, 'x');
  const Clock::time_point start = Clock::now();
  const UniqueFd fd(check_call(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), "benchmark", "open",
                               path.string()));
  for (std::size_t written = 0; written < bytes; written += chunk.size()) {
    write_all(fd.get(), std::as_bytes(std::span(chunk)), "benchmark", path.string());
  }
  check_call(fsync(fd.get()), "benchmark", "fsync", path.string());
  return seconds_since(start);
}

}  // namespace

int main(int, char** argv) {
  const at::Device device(argv[1]);
  const std::filesystem::path folder = argv[2];
  const ModelInput input = image_input({.channels = 3, .height = 224, .width = 224}, 1000);
  const auto model = make_model({.name = "resnet50"}, input);
  const auto average = make_model({.name = "resnet50"}, input);
  model->to(device);
  average->to(device);
  const auto optimizer = make_optimizer({}, *model);

  Checkpoint contents;
  contents.model = model->state_dict();
  contents.ema = average->state_dict();
  contents.state = optimizer->state();
  std::size_t bytes = 0;
  for (const NamedTensors* tensors : {&contents.model, &contents.ema, &contents.state}) {
    for (const auto& [name, tensor] : *tensors) bytes += tensor.nbytes();
  }
  const auto mb = static_cast<double>(bytes) / 1e6;
  make_folders(folder);
  for (int round = 0; round < 5; ++round) {
    const double plain = write_plain_file(folder / "plain", bytes);
    CheckpointWriter writer(folder / "checkpoints", {.keep = 1});
    contents.manifest.step = round;
    at::zeros({1}, device).item<float>();  // the GPU is otherwise idle
    const Clock::time_point start = Clock::now();
    writer.write(contents, false);
    at::zeros({1}, device).item<float>();  // what the next step would wait for
    const double waited = seconds_since(start);
    writer.finish();
    const double whole = seconds_since(start);
    fmt::print(
        "{:.0f} MB: the step waits {:.1f} ms, on the disk after {:.2f} s, {:.0f} MB/s; the disk alone {:.0f} MB/s: "
        "{:.0f} %\n",
        mb, 1e3 * waited, whole, mb / whole, mb / plain, 100 * plain / whole);
  }
  std::filesystem::remove_all(folder);
}
