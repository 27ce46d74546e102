// Measures LibTorch's torch::data with one dataset and prints a line of JSON, like loader_benchmark.
//
//     torch_data_benchmark --cell tiny --workers 2 --batch 512 --seconds 3
//
// As a user would write it: data in memory is a tensor of which get() returns views; files are read and transformed by
// Trainyard's code, so that only the loaders differ. Stack collates the batches; the workers are threads.
#include <optional>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <torch/data/dataloader.h>
#include <torch/data/datasets/base.h>
#include <torch/data/datasets/map.h>
#include <torch/data/samplers/random.h>
#include <torch/data/transforms/stack.h>

#include "cells.h"
#include "measure.h"
#include "util/error.h"

namespace trainyard {
namespace {

namespace data = torch::data;

at::ScalarType type_of(const Field& spec) { return spec.dtype == DType::uint8 ? at::kByte : at::kFloat; }

std::int64_t read(const LoadedSplit& split, std::size_t index, const at::Tensor& image) {
  std::int64_t label = 0;
  const std::array<std::span<std::byte>, 2> places{std::span(static_cast<std::byte*>(image.data_ptr()), image.nbytes()),
                                                   std::as_writable_bytes(std::span(&label, 1))};
  split.read(index, 0, 0, places);
  return label;
}

class InMemory : public data::datasets::Dataset<InMemory> {
 public:
  // Sample i is element i modulo `stored`.
  InMemory(const LoadedSplit& split, std::int64_t stored) : spec_(split.fields()[0]) {
    std::vector<std::int64_t> shape = spec_.shape;
    shape.insert(shape.begin(), stored);
    images_ = at::empty(shape, type_of(spec_));
    for (std::int64_t i = 0; i < stored; ++i) read(split, static_cast<std::size_t>(i), images_[i]);
    labels_ = at::arange(static_cast<std::int64_t>(split.dataset->size()), at::kLong).remainder(10);
  }

  const Field& spec() const { return spec_; }
  data::Example<> get(std::size_t index) override {
    const auto i = static_cast<std::int64_t>(index);
    return {images_[i % images_.size(0)], labels_[i]};
  }
  std::optional<std::size_t> size() const override { return labels_.size(0); }

 private:
  Field spec_;
  at::Tensor images_;
  at::Tensor labels_;
};

InMemory load(const std::string& cell) {
  const LoadedSplit split = std::move(make_cell(cell, "")()[0]);
  return {split, cell == "huge" ? 4 : static_cast<std::int64_t>(split.dataset->size())};
}

class Files : public data::datasets::Dataset<Files> {
 public:
  explicit Files(DatasetFactory factory) : factory_(std::move(factory)), split_(std::move(factory_()[0])) {}
  // Each worker has a copy: a TransformPipeline is not thread-safe.
  Files(const Files& other) : Files(other.factory_) {}
  Files(Files&&) = default;

  const Field& spec() const { return split_.fields()[0]; }
  data::Example<> get(std::size_t index) override {
    const at::Tensor image = at::empty(spec().shape, type_of(spec()));
    const std::int64_t label = read(split_, index, image);
    return {image, at::scalar_tensor(label, at::kLong)};
  }
  std::optional<std::size_t> size() const override { return split_.dataset->size(); }

 private:
  DatasetFactory factory_;
  LoadedSplit split_;
};

void check(const data::Example<>& batch, const Field& spec) {
  if (batch.data.sizes().slice(1) != at::IntArrayRef(spec.shape) || batch.data.scalar_type() != type_of(spec) ||
      batch.target.sizes() != batch.data.sizes().slice(0, 1)) {
    throw RunError("benchmark", "a batch is not of the shape or type of its samples");
  }
}

template <typename Samples>
nlohmann::json measure_torch(const MeasureOptions& options, Samples samples) {
  const double start = now();
  const Field spec = samples.spec();
  const std::size_t size = *samples.size();
  const auto loader = data::make_data_loader<data::samplers::RandomSampler>(
      std::move(samples).map(data::transforms::Stack<>()), data::DataLoaderOptions()
                                                               .batch_size(static_cast<std::size_t>(options.batch_size))
                                                               .workers(static_cast<std::size_t>(options.workers)));
  const auto epoch = [&](std::uint64_t, const auto& on_batch) {
    for (const data::Example<>& batch : *loader) {
      check(batch, spec);
      on_batch(static_cast<std::size_t>(batch.data.size(0)));
    }
  };
  return measure({epoch, [] { return std::vector<pid_t>{getpid()}; }, size}, start, options.seconds);
}

}  // namespace
}  // namespace trainyard

int main(int argc, char** argv) {
  using namespace trainyard;
  CLI::App app("Measures LibTorch's torch::data");
  MeasureOptions options;
  add_options(app, options);
  return run_benchmark(app, argc, argv, [&] {
    at::set_num_threads(1);  // each worker is already a thread
    const bool in_files = options.cell == "packed" || options.cell == "jpeg" || options.cell.starts_with("large");
    const nlohmann::json figures = in_files ? measure_torch(options, Files(make_cell(options.cell, options.files)))
                                            : measure_torch(options, load(options.cell));
    fmt::print("{}\n", figures.dump());
  });
}
