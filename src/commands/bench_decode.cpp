// trainyard bench decode: measures how fast one core decodes and transforms the image files of a run's data.

#include <algorithm>
#include <functional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "commands/bench.h"
#include "images/decode_image.h"
#include "loader/open_pool.h"
#include "loader/sample_order.h"
#include "util/clock.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

// Enough to represent a dataset; they fit into the page cache.
constexpr std::size_t most_files = 512;
constexpr std::size_t most_bytes = std::size_t{256} << 20;

struct File {
  std::uint64_t sample = 0;
  std::string name;
  std::vector<std::byte> bytes;
  ImageSize size;
  bool for_gpu = false;  ///< as transform.decode = gpu leaves to the GPU
};

struct Files {
  std::vector<File> files;
  std::size_t unreadable = 0;
  std::string first_error;
};

std::size_t image_field(const Dataset& dataset, const std::string& name) {
  const std::vector<Field>& fields = dataset.fields();
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [](const Field& field) { return field.is_stored_image && field.is_image(); });
  if (found != fields.end()) return static_cast<std::size_t>(found - fields.begin());
  throw UsageError("bench", "samples of {} have no image files to decode, but {}; choose another --data.name", name,
                   describe(fields));
}

File read_file(const Dataset& dataset, std::size_t field, std::uint64_t index, Sample& sample) {
  read_sample(dataset, index, sample);
  const StoredImage& stored = sample.stored(field);
  if (stored.pixels) {
    throw UsageError("bench", "{} is stored as pixels: there is nothing to decode; choose another --data.name",
                     dataset.image_name(field, index));
  }
  File file{.sample = index, .name = dataset.image_name(field, index), .bytes = {}, .size = {}, .for_gpu = false};
  file.bytes.assign(stored.bytes.begin(), stored.bytes.end());
  return file;
}

void decode(File& file, std::size_t channels, const ImageOptions& options, Scratch& pixels) {
  const auto reader = ImageReader::open(file.bytes, file.name, options);
  file.size = reader->size();
  file.for_gpu = reader->layout_for_gpu().has_value();
  const std::span<std::byte> out = pixels.take(file.size.height * file.size.width * channels);
  reader->read(Rect::whole(file.size), channels, 1, out.data());
}

// A random part of the files that can be decoded.
Files read_files(const Dataset& dataset, std::size_t field, std::size_t channels, std::uint64_t seed) {
  const SampleOrder order(seed, 0, dataset.size(), true);
  Files result;
  Sample sample;
  Scratch pixels;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < dataset.size() && result.files.size() < most_files && bytes < most_bytes; ++i) {
    try {
      File file = read_file(dataset, field, order(i), sample);
      decode(file, channels, dataset.decoding(), pixels);
      bytes += file.bytes.size();
      result.files.push_back(std::move(file));
    } catch (const RunError& error) {
      if (result.unreadable++ == 0) result.first_error = error.what();
    }
    if (result.files.empty() && result.unreadable == most_files) break;
  }
  if (!result.files.empty()) return result;
  throw RunError("bench", "none of {} can be decoded; the first: {}", count_of(result.unreadable, "image"),
                 result.first_error);
}

// Calls `work` for one file after another for at least `seconds`, and for one file. Returns files per second.
double run_round(Files& files, double seconds, const std::function<void(File&)>& work) {
  const std::int64_t start = monotonic_ns();
  std::size_t done = 0;
  do {
    work(files.files[done++ % files.files.size()]);
  } while (seconds_since(start) < seconds);
  return static_cast<double>(done) / seconds_since(start);
}

std::vector<double> run_rounds(Files& files, const BenchOptions& options, const std::function<void(File&)>& work) {
  std::vector<double> rates;
  for (int round = 0; round < options.rounds; ++round) rates.push_back(run_round(files, options.seconds, work));
  return rates;
}

// A new pipeline: each decoding mode is measured with the transforms of training.
std::vector<double> transform_rates(const Config& config, const Dataset& dataset, DecodeMode mode, Files& files,
                                    const BenchOptions& options) {
  const TransformPipeline transforms(config.transform.train, dataset.fields(), mode);
  std::vector<std::vector<std::byte>> memory;
  for (const Field& field : transforms.fields(dataset)) memory.emplace_back(field.bytes());
  const std::vector<std::span<std::byte>> places(memory.begin(), memory.end());
  return run_rounds(files, options,
                    [&](File& file) { transforms.read(dataset, file.sample, config.train.seed, /*epoch=*/0, places); });
}

struct Summary {
  double jpeg = 0;  // share of the files
  double png = 0;
  double for_gpu = 0;  // share of the JPEGs
  double bytes = 0;    // mean
  double height = 0;   // mean
  double width = 0;    // mean
  double pixels = 0;   // mean
};

Summary summary_of(const std::vector<File>& files) {
  const auto count = static_cast<double>(files.size());
  Summary sum;
  for (const File& file : files) {
    sum.jpeg += is_jpeg(file.bytes) ? 1 : 0;
    sum.png += is_png(file.bytes) ? 1 : 0;
    sum.for_gpu += file.for_gpu ? 1 : 0;
    sum.bytes += static_cast<double>(file.bytes.size()) / count;
    sum.height += static_cast<double>(file.size.height) / count;
    sum.width += static_cast<double>(file.size.width) / count;
    sum.pixels += static_cast<double>(file.size.height * file.size.width) / count;
  }
  if (sum.jpeg > 0) sum.for_gpu /= sum.jpeg;
  sum.jpeg /= count;
  sum.png /= count;
  return sum;
}

}  // namespace

nlohmann::ordered_json bench_decode(const Config& config, const BenchOptions& options) {
  const auto row = [&](const std::string& name, const std::string& value) { bench_row(options, name, value); };
  const std::vector<LoadedSplit> splits = dataset_factory(config)();
  const Dataset& dataset = *splits.at(static_cast<std::size_t>(Split::train)).dataset;
  const std::size_t field = image_field(dataset, config.data.name);
  const std::size_t channels = channels_of(dataset.fields()[field]);
  Files files = read_files(dataset, field, channels, config.train.seed);
  const Summary summary = summary_of(files.files);

  row("files", fmt::format("{} of {}: {:.0f} % JPEG ({:.0f} % of them for the GPU), {:.0f} % PNG", files.files.size(),
                           dataset.size(), 100 * summary.jpeg, 100 * summary.for_gpu, 100 * summary.png));
  row("",
      fmt::format("on average {:.1f} kB, {:.0f} x {:.0f} pixels", summary.bytes / 1e3, summary.width, summary.height));
  if (files.unreadable > 0) {
    row("", fmt::format("left out: {} that cannot be decoded (trainyard data lists them)", files.unreadable));
  }
  nlohmann::ordered_json figures = {{"benchmark", "decode"},
                                    {"data", config.data.name},
                                    {"files",
                                     {{"measured", files.files.size()},
                                      {"all", dataset.size()},
                                      {"unreadable", files.unreadable},
                                      {"jpeg_share", summary.jpeg},
                                      {"gpu_share_of_jpeg", summary.for_gpu},
                                      {"png_share", summary.png},
                                      {"mean_bytes", summary.bytes},
                                      {"mean_width", summary.width},
                                      {"mean_height", summary.height}}},
                                    {"transforms", config.transform.train}};

  Scratch pixels;
  const std::vector<double> whole =
      run_rounds(files, options, [&](File& file) { decode(file, channels, dataset.decoding(), pixels); });
  row("decode", rates_text(whole, "files/s"));
  row("", fmt::format("{:.1f} megapixels/s, {:.1f} MB/s of files", spread_of(whole).median * summary.pixels * 1e-6,
                      spread_of(whole).median * summary.bytes * 1e-6));
  figures["files_per_second"] = {{"decode", spread_json(whole)}};

  row("transforms", "reading the file, decoding, and transform.train:");
  for (const std::string& transform : config.transform.train) row("", printable(transform));
  // Each value of transform.decode.
  for (const DecodeMode mode : {DecodeMode::exact, DecodeMode::scaled}) {
    const std::vector<double> rates = transform_rates(config, dataset, mode, files, options);
    row(word(mode), rates_text(rates, "files/s"));
    figures["files_per_second"][fmt::format("transform_{}", word(mode))] = spread_json(rates);
  }
  return figures;
}

}  // namespace trainyard
