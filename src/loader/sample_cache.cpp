#include "loader/sample_cache.h"

#include <atomic>
#include <cstring>

#include "datasets/image_dataset.h"
#include "loader/shared_file.h"
#include "util/error.h"

namespace trainyard {
namespace {

// What is known of a sample: nothing, that somebody is storing it, or its label, as label + label_0.
using Entry = std::atomic<std::int64_t>;
constexpr std::int64_t unknown = 0;
constexpr std::int64_t being_stored = 1;
constexpr std::int64_t label_0 = 2;
static_assert(Entry::is_always_lock_free);

class CachedDataset final : public Dataset {
 public:
  CachedDataset(std::unique_ptr<Dataset> dataset, Mapping memory)
      : dataset_(std::move(dataset)),
        memory_(std::move(memory)),
        entries_(reinterpret_cast<Entry*>(memory_.bytes().data())),
        samples_(memory_.bytes().data() + dataset_->size() * sizeof(Entry)) {}

  std::int64_t get(std::size_t index, std::span<std::byte> out) const override {
    std::byte* const stored = samples_ + index * spec().bytes();
    if (const std::int64_t entry = entries_[index].load(std::memory_order_acquire); entry >= label_0) {
      std::memcpy(out.data(), stored, out.size());
      return entry - label_0;
    }
    const std::int64_t label = dataset_->get(index, out);
    // Nobody ever takes back "being stored": whoever is at it may only be slow.
    if (std::int64_t entry = unknown; label >= 0 && entries_[index].compare_exchange_strong(entry, being_stored)) {
      std::memcpy(stored, out.data(), out.size());
      entries_[index].store(label + label_0, std::memory_order_release);
    }
    return label;
  }

  std::int64_t rows(std::size_t index) const override { return dataset_->rows(index); }
  void collate(std::span<const std::int64_t> rows, std::span<std::int64_t> begins) const override {
    dataset_->collate(rows, begins);
  }

  std::size_t size() const override { return dataset_->size(); }
  const SampleSpec& spec() const override { return dataset_->spec(); }
  const std::vector<std::string>& class_names() const override { return dataset_->class_names(); }
  std::uint64_t fingerprint() const override { return dataset_->fingerprint(); }
  std::vector<float> channel_mean() const override { return dataset_->channel_mean(); }
  std::vector<float> channel_std() const override { return dataset_->channel_std(); }

 private:
  std::unique_ptr<Dataset> dataset_;
  Mapping memory_;
  Entry* entries_;
  std::byte* samples_;
};

}  // namespace

std::unique_ptr<Dataset> cached_in_shared_memory(std::unique_ptr<Dataset> dataset, const std::string& directory) {
  if (dataset->size() == 0) return dataset;
  if (dynamic_cast<const ImageDataset*>(dataset.get()) != nullptr) {
    throw UsageError(
        "loader.cache",
        "shm keeps samples of one size, as get() gives them; this dataset hands out pictures to be decoded "
        "by the transforms. Use none; `trainyard pack` stores them smaller or raw");
  }
  const std::size_t bytes = dataset->size() * (sizeof(Entry) + dataset->spec().bytes());
  const UniqueFd file = open_shared_file(directory, bytes);
  if (!reserve(file.get(), 0, bytes)) {
    throw MachineError("loader",
                       "{} has {} bytes free, loader.cache = shm needs {} for {} samples of {} bytes; start the "
                       "container with --ipc=host or a larger --shm-size, or set loader.cache = none",
                       directory, bytes_free(directory), bytes, dataset->size(), dataset->spec().bytes());
  }
  return std::make_unique<CachedDataset>(std::move(dataset), Mapping::shared(file.get(), "loader", directory));
}

}  // namespace trainyard
