#include "cells.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "datasets/dataset_view.h"
#include "images/encode_jpeg.h"
#include "transforms/pack_dataset.h"
#include "util/error.h"
#include "util/random.h"
#include "util/system.h"

namespace trainyard {
namespace {

// Samples contiguous in memory; sample i is element i modulo `stored`. With `stored` 0 nothing is written.
class InMemory final : public Dataset {
 public:
  InMemory(std::size_t size, std::size_t stored, const Field& image)
      : size_(size), stored_(stored), fields_{image, label_field(10)} {
    RandomStream random(1);
    const std::size_t words = stored * image.bytes() / sizeof(std::uint64_t);
    if (words == 0) return;
    memory_ = Mapping::copied_on_write(words * sizeof(std::uint64_t), "benchmark");
    auto* const word = reinterpret_cast<std::uint64_t*>(memory_.bytes().data());
    constexpr std::uint64_t finite_as_floats = 0x3f7f3f7f3f7f3f7fu;
    for (std::size_t i = 0; i < words; ++i) word[i] = random.next() & finite_as_floats;
  }

  std::size_t size() const override { return size_; }
  const std::vector<Field>& fields() const override { return fields_; }
  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    const std::span<std::byte> out = sample.elements(0);
    if (stored_ > 0) std::memcpy(out.data(), memory_.bytes().data() + index % stored_ * out.size(), out.size());
    sample.set(1, static_cast<std::int64_t>(index % 10));
  }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::uint64_t fingerprint() const override { return 0; }
  std::vector<float> channel_mean() const override { return {0.5F}; }
  std::vector<float> channel_std() const override { return {0.5F}; }

 private:
  std::size_t size_;
  std::size_t stored_;
  std::vector<Field> fields_;
  Mapping memory_;
  std::vector<std::string> class_names_ = std::vector<std::string>(10, "class");
};

// Forwards to a dataset with other owners.
class Shared final : public DatasetView {
 public:
  explicit Shared(std::shared_ptr<const Dataset> dataset) : DatasetView(std::move(dataset)) {}
  void read(std::size_t index, RandomStream random, Sample& sample) const override {
    source().read(index, random, sample);
  }
};

std::shared_ptr<const Dataset> make_dataset_of(const std::string& cell) {
  if (cell == "null") return std::make_shared<InMemory>(60'000, 0, Field{"image", DType::uint8, {1, 1, 1}});
  if (cell == "tiny") return std::make_shared<InMemory>(50'000, 50'000, Field{"image", DType::uint8, {32, 32, 3}});
  if (cell == "huge") return std::make_shared<InMemory>(64, 4, Field{"image", DType::float32, {1024, 1024, 8}});
  if (cell == "fashion_mnist") return make_dataset(DataConfig{.name = cell}, Split::train);
  throw UsageError(
      "benchmark",
      "there is no cell '{}'; there are null, fashion_mnist, tiny, huge, jpeg, large, large_scaled, packed", cell);
}

// An image that compresses like a photograph: soft shapes, edges, and grain.
Image make_image(ImageSize size, std::uint64_t seed) {
  RandomStream random(seed);
  struct Wave {
    double x, y, phase, height;
  };
  std::vector<Wave> waves(12);
  for (Wave& wave : waves) {
    wave = {30 * random.uniform(), 30 * random.uniform(), 6.3 * random.uniform(), 10 + 20 * random.uniform()};
  }
  Image image{size.height, size.width, 3, std::vector<std::byte>(size.height * size.width * 3)};
  std::byte* out = image.pixels.data();
  for (std::size_t y = 0; y < size.height; ++y) {
    for (std::size_t x = 0; x < size.width; ++x) {
      double value = 128;
      for (const Wave& wave : waves) {
        value += wave.height * std::sin(wave.phase + wave.x * static_cast<double>(x) / static_cast<double>(size.width) +
                                        wave.y * static_cast<double>(y) / static_cast<double>(size.height));
      }
      const double edge = value > 160 ? 40 : 0;
      const auto grain = static_cast<double>(random.below(25));
      for (const double tint : {1.0, 0.9, 0.8}) {
        *out++ = static_cast<std::byte>(std::clamp(tint * (value + edge) + grain - 12, 0.0, 255.0));
      }
    }
  }
  return image;
}

void make_jpegs(const std::filesystem::path& folder, int count, ImageSize size) {
  constexpr std::size_t different = 16;  // each is written several times: creating them takes longer than reading them
  std::vector<std::vector<std::byte>> files(different);
  for (std::size_t i = 0; i < files.size(); ++i) files[i] = encode_jpeg(make_image(size, i), 90);
  for (int i = 0; i < count; ++i) {
    const std::filesystem::path class_folder = folder / "train" / std::to_string(i % 10);
    std::filesystem::create_directories(class_folder);
    const std::vector<std::byte>& file = files[static_cast<std::size_t>(i) % files.size()];
    std::ofstream(class_folder / fmt::format("{:05}.jpg", i), std::ios::binary)
        .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  }
}

LoadedSplit load(const std::string& dataset, const std::string& root, const std::vector<std::string>& transforms,
                 DecodeMode decode = DecodeMode::exact) {
  LoadedSplit split;
  split.dataset = make_dataset(DataConfig{.name = dataset, .root = root}, Split::train);
  split.transforms = TransformPipeline(transforms, split.dataset->fields(), decode);
  return split;
}

}  // namespace

void make_files(const std::string& folder) {
  const std::filesystem::path root(folder);
  make_jpegs(root / "jpeg", 1024, {375, 500});
  make_jpegs(root / "large", 128, {1536, 2048});
  const PackOptions options{.as = PackAs::raw, .transforms = {"resize(size=256)", "center_crop(size=256)"}};
  std::filesystem::create_directories(root / "packed");
  const LoadedSplit jpegs = load("image_folder", root / "jpeg", {});
  pack_dataset(*jpegs.dataset, options, root / "packed" / "train.packed");
}

DatasetFactory make_cell(const std::string& name, const std::string& files) {
  const std::vector<std::string> augment = {"random_resized_crop(size=224)", "random_horizontal_flip"};
  const auto one = [](auto load_it) {
    return [load_it = std::move(load_it)] {
      std::vector<LoadedSplit> splits;
      splits.push_back(load_it());
      return splits;
    };
  };
  if (name == "jpeg") return one([=] { return load("image_folder", files + "/jpeg", augment); });
  if (name == "large") return one([=] { return load("image_folder", files + "/large", augment); });
  if (name == "large_scaled") {
    return one([=] { return load("image_folder", files + "/large", augment, DecodeMode::scaled); });
  }
  if (name == "packed") return one([=] { return load("packed", files + "/packed", {}); });
  return one([dataset = make_dataset_of(name)] {
    LoadedSplit split;
    split.dataset = std::make_unique<Shared>(dataset);
    return split;
  });
}

}  // namespace trainyard
