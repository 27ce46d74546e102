// CIFAR-10: 50,000 and 10,000 colour images of 10 classes (Krizhevsky: "Learning multiple layers of features from tiny
// images", 2009), in its binary version: records of one label byte and 32 × 32 bytes each of red, green and blue.
#include <algorithm>

#include "datasets/dataset.h"
#include "datasets/fingerprint.h"
#include "datasets/locate.h"
#include "util/error.h"
#include "util/random.h"
#include "util/system.h"

namespace trainyard {
namespace {

constexpr std::size_t pixels = std::size_t{32} * 32;
constexpr std::size_t record_size = 1 + 3 * pixels;

const Places& places() {
  static const Places places{
      .title = "CIFAR-10",
      .below_root = {"cifar-10-batches-bin"},
      .defaults = {"data/cifar10", "data/cifar-10-batches-bin", "data"},
      .remedy =
          "unpack its binary version (data_batch_1.bin to data_batch_5.bin, test_batch.bin) into data/cifar10, or "
          "set data.root to the folder of these files"};
  return places;
}

std::vector<FileNames> files_of(Split split) {
  if (split == Split::test) return {{"test_batch.bin"}};
  return {{"data_batch_1.bin"}, {"data_batch_2.bin"}, {"data_batch_3.bin"}, {"data_batch_4.bin"}, {"data_batch_5.bin"}};
}

/// The files stay mapped, so that workers share their pages with the page cache. They must not shrink meanwhile.
class Cifar10 final : public Dataset {
 public:
  Cifar10(const DataConfig& config, Split split) : split_(split) {
    for (const std::string& path : locate_files(places(), config.root, files_of(split))) add_file(path);
  }

  std::size_t size() const override { return size_; }
  const SampleSpec& spec() const override { return spec_; }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::vector<float> channel_mean() const override { return {0.4914F, 0.4822F, 0.4465F}; }
  std::vector<float> channel_std() const override { return {0.2470F, 0.2435F, 0.2616F}; }
  std::vector<std::uint64_t> class_counts() const override { return class_counts_; }

  std::int64_t get(std::size_t index, std::span<std::byte> out) const override {
    auto file = files_.begin();
    for (; index >= file->bytes().size() / record_size; ++file) index -= file->bytes().size() / record_size;
    const auto record = file->bytes().subspan(index * record_size, record_size);
    const std::byte* const planes = record.data() + 1;
    for (std::size_t i = 0; i < pixels; ++i) {
      for (std::size_t channel = 0; channel < 3; ++channel) out[3 * i + channel] = planes[channel * pixels + i];
    }
    return std::to_integer<std::int64_t>(record[0]);
  }

  std::uint64_t fingerprint() const override {
    std::uint64_t key = key_of({key_of("cifar10"), key_of(to_string(split_))});
    for (const Mapping& file : files_) key = trainyard::fingerprint(key, file.bytes());
    return key;
  }

 private:
  void add_file(const std::string& path) {
    Mapping file = Mapping::read_only_file(path, "cifar10");
    const auto bytes = file.bytes();
    if (bytes.empty() || bytes.size() % record_size != 0) {
      throw RunError("cifar10",
                     "{}: ends at byte {}, in the record that begins at byte {}; expected whole records of {} "
                     "bytes: fetch the file again",
                     path, bytes.size(), bytes.size() / record_size * record_size, record_size);
    }
    for (std::size_t offset = 0; offset < bytes.size(); offset += record_size) {
      if (const auto label = std::to_integer<std::size_t>(bytes[offset]); label >= class_names_.size()) {
        throw RunError("cifar10", "{}: label {} at byte {}, expected 0 to {}: is this the binary version of CIFAR-10?",
                       path, label, offset, class_names_.size() - 1);
      } else {
        ++class_counts_[label];
      }
    }
    size_ += bytes.size() / record_size;
    files_.push_back(std::move(file));
  }

  Split split_;
  SampleSpec spec_{{32, 32, 3}, DType::uint8};
  std::vector<std::string> class_names_{"airplane", "automobile", "bird",  "cat",  "deer",
                                        "dog",      "frog",       "horse", "ship", "truck"};
  std::vector<std::uint64_t> class_counts_ = std::vector<std::uint64_t>(class_names_.size());
  std::vector<Mapping> files_;
  std::size_t size_ = 0;
};

std::unique_ptr<Dataset> make_cifar10(const DataConfig& config, Split split) {
  return std::make_unique<Cifar10>(config, split);
}

const DatasetRegistry::Registration registered{"cifar10", "CIFAR-10: 32x32 colour, 10 classes", make_cifar10, __FILE__};

}  // namespace
}  // namespace trainyard
