/// A dataset whose samples can be checked, with a hook for what goes wrong in `get`.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loader/data_loader.h"
#include "util/system.h"

namespace trainyard {

/// Called in the worker before a sample is written.
using GetHook = std::function<void(std::size_t index)>;

/// Samples of `bytes` bytes, each a function of (index, place); five classes.
class CheckableDataset : public Dataset {
 public:
  CheckableDataset(std::size_t size, GetHook hook, std::int64_t bytes = 37)
      : size_(size), hook_(std::move(hook)), spec_{{bytes, 1, 1}, DType::uint8} {}

  static std::byte byte_of(std::size_t index, std::size_t place);
  static std::int64_t label_of(std::size_t index) { return static_cast<std::int64_t>(index % 5); }

  std::size_t size() const override { return size_; }
  const SampleSpec& spec() const override { return spec_; }
  std::int64_t get(std::size_t index, std::span<std::byte> out) const override;
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::uint64_t fingerprint() const override { return 0xfedcba9876543210u; }
  std::vector<float> channel_mean() const override { return {0.1f}; }
  std::vector<float> channel_std() const override { return {0.3f}; }
  std::vector<std::uint64_t> class_counts() const override { return {size_, 0, 0, 0, 1}; }
  std::span<const LeftOut> left_out() const override { return left_out_; }

 private:
  std::size_t size_;
  GetHook hook_;
  SampleSpec spec_;
  std::vector<std::string> class_names_ = {"a", "b", "c", "d", "\xff not UTF-8"};
  std::vector<LeftOut> left_out_ = {{"dangling link", 4, {"a/one", "a/\xff"}}, {"litter", 1, {".b"}}};
};

/// A train split of `train` samples with the hook and a test split of `test` samples without.
DatasetFactory checkable(std::size_t train, std::size_t test = 0, GetHook hook = nullptr);

/// A number that a test and the processes forked from it share, to make a misdeed happen only so many times.
class SharedCounter {
 public:
  SharedCounter() : memory_(std::make_shared<Mapping>(Mapping::anonymous(sizeof(std::atomic<int>), "tests"))) {}
  /// What it was before.
  int add_one() const { return value().fetch_add(1); }
  int get() const { return value(); }

 private:
  std::atomic<int>& value() const { return *reinterpret_cast<std::atomic<int>*>(memory_->bytes().data()); }
  std::shared_ptr<Mapping> memory_;
};

/// The sample numbers of the batch, after checking that every byte and label is theirs.
std::vector<std::uint64_t> checked_indices(const Batch& batch);

/// The batches left in the epoch, each as checked_indices().
std::vector<std::vector<std::uint64_t>> rest_of_epoch(DataLoader& loader);

/// The text of the RunError that reading epochs of `loader` ends with; none if it has not by the `epochs`th.
std::optional<std::string> error_of(DataLoader& loader, int epochs = 1);

/// Whether there is such a process, be it a zombie.
bool exists(pid_t pid);

}  // namespace trainyard
