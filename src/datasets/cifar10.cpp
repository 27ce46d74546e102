// CIFAR-10: 50,000 training and 10,000 test colour images of 10 classes (Krizhevsky: "Learning multiple layers of
// features from tiny images", 2009), in its binary version: records of one label byte and 32 × 32 bytes each of red,
// green and blue.
#include <array>

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

/// Records are read, not mapped: if a file is truncated during the run, only reading the lost records fails.
class Cifar10 final : public Dataset {
 public:
  Cifar10(const DataConfig& config, Split split) : fingerprint_(key_of({key_of("cifar10"), key_of(to_string(split))})) {
    for (const std::string& path : locate_files(places(), config.root, files_of(split))) add_file(path);
  }

  std::size_t size() const override { return labels_.size(); }
  const std::vector<Field>& fields() const override { return fields_; }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::vector<float> channel_mean() const override { return {0.4914F, 0.4822F, 0.4465F}; }
  std::vector<float> channel_std() const override { return {0.2470F, 0.2435F, 0.2616F}; }
  std::vector<std::uint64_t> class_counts() const override { return class_counts_; }
  std::optional<std::uint64_t> stratum(std::size_t index) const override {
    return std::to_integer<std::uint64_t>(labels_[index]);
  }

  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    auto file = files_.begin();
    std::size_t record = index;
    for (; record >= file->records; ++file) record -= file->records;
    std::array<std::byte, 3 * pixels> planes;
    if (read_at(file->fd.get(), planes, record * record_size + 1, "cifar10", file->path) < planes.size()) {
      throw RunError("cifar10", "{} has been cut off within record {} since it was opened", file->path, record);
    }
    const std::span<std::byte> out = sample.elements(0);
    for (std::size_t i = 0; i < pixels; ++i) {
      for (std::size_t channel = 0; channel < 3; ++channel) out[3 * i + channel] = planes[channel * pixels + i];
    }
    sample.set(1, std::to_integer<std::int64_t>(labels_[index]));
  }

  std::uint64_t fingerprint() const override { return fingerprint_; }

 private:
  struct File {
    std::string path;
    UniqueFd fd;
    std::size_t records;
  };

  void add_file(const std::string& path) {
    UniqueFd fd = open_regular_file(path, "cifar10");
    std::vector<std::byte> bytes(regular_file_size(fd.get(), "cifar10", path));
    bytes.resize(read_at(fd.get(), bytes, 0, "cifar10", path));
    if (bytes.empty() || bytes.size() % record_size != 0) {
      throw RunError("cifar10",
                     "{}: ends at byte {}, in the record that begins at byte {}; expected whole records of {} "
                     "bytes: fetch the file again",
                     path, bytes.size(), bytes.size() / record_size * record_size, record_size);
    }
    for (std::size_t offset = 0; offset < bytes.size(); offset += record_size) {
      const auto label = std::to_integer<std::size_t>(bytes[offset]);
      if (label >= class_names_.size()) {
        throw RunError("cifar10", "{}: label {} at byte {}, expected 0 to {}: is this the binary version of CIFAR-10?",
                       path, label, offset, class_names_.size() - 1);
      }
      ++class_counts_[label];
      labels_.push_back(bytes[offset]);
    }
    fingerprint_ = trainyard::fingerprint(fingerprint_, bytes);
    files_.push_back({path, std::move(fd), bytes.size() / record_size});
  }

  std::vector<std::string> class_names_{"airplane", "automobile", "bird",  "cat",  "deer",
                                        "dog",      "frog",       "horse", "ship", "truck"};
  std::vector<Field> fields_{{.name = "image", .shape = {32, 32, 3}}, label_field(class_names_.size())};
  std::vector<std::uint64_t> class_counts_ = std::vector<std::uint64_t>(class_names_.size());
  std::vector<File> files_;
  std::vector<std::byte> labels_;
  std::uint64_t fingerprint_;
};

std::unique_ptr<Dataset> make_cifar10(const DataConfig& config, Split split) {
  return split == Split::val ? nullptr : std::make_unique<Cifar10>(config, split);
}

const DatasetRegistry::Registration registered{"cifar10", "CIFAR-10: 32x32 colour, 10 classes", make_cifar10, __FILE__};

}  // namespace
}  // namespace trainyard
