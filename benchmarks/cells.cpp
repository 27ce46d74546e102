#include "cells.h"

#include <cstring>

#include "util/error.h"
#include "util/random.h"

namespace trainyard {
namespace {

// Samples that lie in memory one behind the other; sample i is number i modulo `stored`. With `stored` 0 nothing is
// written.
class InMemory final : public Dataset {
 public:
  InMemory(std::size_t size, std::size_t stored, SampleSpec spec)
      : size_(size), stored_(stored), spec_(std::move(spec)) {
    RandomStream random(1);
    bytes_.resize(stored * spec_.bytes() / sizeof(std::uint64_t));
    for (std::uint64_t& word : bytes_) word = random.next() & 0x3f7f3f7f3f7f3f7fu;  // finite where read as floats
  }

  std::size_t size() const override { return size_; }
  const SampleSpec& spec() const override { return spec_; }
  std::int64_t get(std::size_t index, std::span<std::byte> out) const override {
    if (stored_ > 0) {
      const auto* const samples = reinterpret_cast<const std::byte*>(bytes_.data());
      std::memcpy(out.data(), samples + index % stored_ * out.size(), out.size());
    }
    return static_cast<std::int64_t>(index % 10);
  }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::uint64_t fingerprint() const override { return 0; }
  std::vector<float> channel_mean() const override { return {0.5F}; }
  std::vector<float> channel_std() const override { return {0.5F}; }

 private:
  std::size_t size_;
  std::size_t stored_;
  SampleSpec spec_;
  std::vector<std::uint64_t> bytes_;
  std::vector<std::string> class_names_ = std::vector<std::string>(10, "class");
};

// Hands on a dataset that others have, too.
class Shared final : public Dataset {
 public:
  explicit Shared(std::shared_ptr<const Dataset> dataset) : dataset_(std::move(dataset)) {}
  std::size_t size() const override { return dataset_->size(); }
  const SampleSpec& spec() const override { return dataset_->spec(); }
  std::int64_t get(std::size_t index, std::span<std::byte> out) const override { return dataset_->get(index, out); }
  const std::vector<std::string>& class_names() const override { return dataset_->class_names(); }
  std::uint64_t fingerprint() const override { return dataset_->fingerprint(); }
  std::vector<float> channel_mean() const override { return dataset_->channel_mean(); }
  std::vector<float> channel_std() const override { return dataset_->channel_std(); }

 private:
  std::shared_ptr<const Dataset> dataset_;
};

std::shared_ptr<const Dataset> make_dataset_of(const std::string& cell) {
  if (cell == "null") return std::make_shared<InMemory>(60'000, 0, SampleSpec{{1, 1, 1}, DType::uint8});
  if (cell == "tiny") return std::make_shared<InMemory>(50'000, 50'000, SampleSpec{{32, 32, 3}, DType::uint8});
  if (cell == "huge") return std::make_shared<InMemory>(64, 4, SampleSpec{{1024, 1024, 8}, DType::float32});
  if (cell == "fashion_mnist") return make_dataset(DataConfig{.name = cell}, Split::train);
  throw UsageError("benchmark", "there is no cell '{}'; there are null, fashion_mnist, tiny, huge", cell);
}

}  // namespace

DatasetFactory make_cell(const std::string& name) {
  return [dataset = make_dataset_of(name)] {
    std::vector<LoadedSplit> splits(1);
    splits[0].dataset = std::make_unique<Shared>(dataset);
    return splits;
  };
}

}  // namespace trainyard
