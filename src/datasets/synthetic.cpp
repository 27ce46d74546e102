// Synthetic images of any shape, for tests and benchmarks: each class has a pattern of 4 × 4 patches, and each sample
// is its class's pattern with its own noise. Nothing is stored; a sample is a function of (split, index).
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "config/component.h"
#include "datasets/dataset.h"
#include "util/error.h"
#include "util/random.h"

namespace trainyard {
namespace {

constexpr std::size_t patches = 4;  // per side
constexpr std::int64_t max_sample_bytes = std::int64_t{1} << 30;
// Pattern 0 to 216, noise 0 to 31 + 7: the sum fits a byte, with mean 0.5 and deviation 0.25.
constexpr std::uint64_t pattern_levels = 217;
constexpr std::uint64_t five_bits_a_byte = 0x1f1f1f1f1f1f1f1f;
constexpr std::uint64_t three_bits_a_byte = 0x0707070707070707;

struct SyntheticSettings {
  std::vector<std::int64_t> shape = {32, 32, 3};
  std::int64_t samples = 10'000;
  std::int64_t classes = 10;

  void declare(SettingTable& table) {
    table.add("shape", shape, "height, width, channels, e.g. 28,28,1", list_of(3, whole(1, 65'536)), Resume::fixed)
        .formerly("data.shape");
    table
        .add("samples", samples, "samples in train, including val; test has a fifth as many", whole(1, 1'000'000'000),
             Resume::fixed)
        .formerly("data.samples");
    table.add("classes", classes, "number of classes", whole(2, 1'000'000), Resume::fixed).formerly("data.classes");
  }
  void validate() const {
    std::int64_t bytes = 1;
    for (const std::int64_t extent : shape) bytes *= extent;  // at most 2^48
    if (bytes > max_sample_bytes) {
      throw UsageError("data.synthetic.shape", "makes samples of {} bytes; allowed: {} bytes at most", bytes,
                       max_sample_bytes);
    }
  }
};
const ComponentSettings<SyntheticSettings> settings{"data.synthetic", {"synthetic"}, __FILE__};

class Synthetic final : public Dataset {
 public:
  Synthetic(const SyntheticSettings& config, Split split)
      : fields_{{.name = "image", .shape = config.shape}, label_field(static_cast<std::size_t>(config.classes))},
        size_(static_cast<std::size_t>(split == Split::train ? config.samples
                                                             : std::max<std::int64_t>(config.samples / 5, 1))),
        split_key_(key_of({key_of("synthetic"), key_of(to_string(split))})) {
    for (std::int64_t i = 0; i < config.classes; ++i) class_names_.push_back(fmt::format("class {}", i));
  }

  std::size_t size() const override { return size_; }
  const std::vector<Field>& fields() const override { return fields_; }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::vector<float> channel_mean() const override { return std::vector<float>(channels(), 0.5F); }
  std::vector<float> channel_std() const override { return std::vector<float>(channels(), 0.25F); }
  std::vector<std::uint64_t> class_counts() const override {
    std::vector<std::uint64_t> counts(class_names_.size(), size_ / class_names_.size());
    for (std::size_t label = 0; label < size_ % class_names_.size(); ++label) ++counts[label];
    return counts;
  }

  std::optional<std::uint64_t> stratum(std::size_t index) const override { return index % class_names_.size(); }

  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    const std::span<std::byte> out = sample.elements(0);
    const std::size_t label = index % class_names_.size();
    paint_pattern(label, out);
    add_noise(RandomStream(key_of({split_key_, index})), out);
    sample.set(1, static_cast<std::int64_t>(label));
  }

  std::uint64_t fingerprint() const override {
    std::uint64_t key = key_of({split_key_, size_, class_names_.size()});
    for (const std::int64_t extent : fields_[0].shape) key = key_of({key, static_cast<std::uint64_t>(extent)});
    return key;
  }

 private:
  std::size_t channels() const { return static_cast<std::size_t>(fields_[0].shape[2]); }

  void paint_pattern(std::size_t label, std::span<std::byte> out) const {
    const auto height = static_cast<std::size_t>(fields_[0].shape[0]);
    const auto width = static_cast<std::size_t>(fields_[0].shape[1]);
    const std::size_t row_bytes = width * channels();
    for (std::size_t y = 0; y < height; ++y) {
      std::byte* const row = out.data() + y * row_bytes;
      const std::size_t patch_y = y * patches / height;
      if (y > 0 && (y - 1) * patches / height == patch_y) {
        std::memcpy(row, row - row_bytes, row_bytes);
        continue;
      }
      const std::uint64_t key = key_of({key_of("synthetic pattern"), label, patch_y});
      for (std::size_t x = 0; x < width; ++x) {
        for (std::size_t c = 0; c < channels(); ++c) {
          const std::uint64_t random = key_of({key, x * patches / width, c});
          row[x * channels() + c] = static_cast<std::byte>(random % pattern_levels);
        }
      }
    }
  }

  // Adds noise to eight bytes at a time.
  static void add_noise(RandomStream random, std::span<std::byte> out) {
    while (!out.empty()) {
      const std::size_t count = std::min(out.size(), sizeof(std::uint64_t));
      const std::uint64_t bits = random.next();
      std::uint64_t word = 0;
      std::memcpy(&word, out.data(), count);
      word += (bits & five_bits_a_byte) + (bits >> 5 & three_bits_a_byte);
      std::memcpy(out.data(), &word, count);
      out = out.subspan(count);
    }
  }

  std::vector<Field> fields_;
  std::size_t size_;
  std::uint64_t split_key_;
  std::vector<std::string> class_names_;
};

std::unique_ptr<Dataset> make_synthetic(const DataConfig& config, Split split) {
  if (split == Split::val) return nullptr;
  return std::make_unique<Synthetic>(settings.in(config), split);
}

const DatasetRegistry::Registration registered{"synthetic", "generated images of any shape (data.synthetic.shape)",
                                               make_synthetic, __FILE__};

}  // namespace
}  // namespace trainyard
