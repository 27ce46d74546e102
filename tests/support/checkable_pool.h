/// A dataset whose samples can be verified byte by byte, with a hook that injects faults into `read`.
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
using ReadHook = std::function<void(std::size_t index)>;

/// Samples whose bytes are all a function of (index, field, position): an image of `bytes` bytes, a label of five
/// classes and, if `varying`, up to 9 words and up to 4 boxes.
class CheckableDataset : public Dataset {
 public:
  CheckableDataset(std::size_t size, ReadHook hook, std::int64_t bytes = 37, bool varying = true);

  static std::byte byte_of(std::size_t index, std::size_t place);
  static std::int64_t label_of(std::size_t index) { return static_cast<std::int64_t>(index % 5); }
  /// Returns the bytes that field `field` of sample `index` must have, all rows included.
  static std::vector<std::byte> expected(const Field& field, std::size_t index);
  static std::int64_t rows_of(const Field& field, std::size_t index);

  std::size_t size() const override { return size_; }
  const std::vector<Field>& fields() const override { return fields_; }
  void read(std::size_t index, RandomStream random, Sample& sample) const override;
  std::int64_t rows(std::size_t field, std::size_t index) const override { return rows_of(fields_[field], index); }
  void collate(std::size_t field, std::span<const std::int64_t> rows, std::span<std::int64_t> begins) const override;
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::uint64_t fingerprint() const override { return 0xfedcba9876543210u; }
  std::vector<float> channel_mean() const override { return {0.1f}; }
  std::vector<float> channel_std() const override { return {0.3f}; }
  std::vector<std::uint64_t> class_counts() const override { return {size_, 0, 0, 0, 1}; }
  std::span<const LeftOut> left_out() const override { return left_out_; }

 private:
  std::size_t size_;
  ReadHook hook_;
  std::vector<Field> fields_;
  std::vector<std::string> class_names_ = {"a", "b", "c", "d", "\xff not UTF-8"};
  std::vector<LeftOut> left_out_ = {{"dangling link", 4, {"a/one", "a/\xff"}}, {"litter", 1, {".b"}}};
};

/// Returns the factory of a train split of `train` samples, read with the hook, and a test split of `test` samples,
/// read without it.
DatasetFactory checkable(std::size_t train, std::size_t test = 0, ReadHook hook = nullptr, bool varying = true);

/// The first nine tenths of the samples are of one class and the rest of another; the classes are known before reading
/// (stratum).
class UnevenDataset final : public CheckableDataset {
 public:
  using CheckableDataset::CheckableDataset;
  std::optional<std::uint64_t> stratum(std::size_t index) const override { return index < size() * 9 / 10 ? 1 : 4; }
};

/// A counter shared by a test and the processes forked from it, e.g. to make a fault occur a limited number of times.
class SharedCounter {
 public:
  SharedCounter() : memory_(std::make_shared<Mapping>(Mapping::anonymous(sizeof(std::atomic<int>), "tests"))) {}
  /// Returns the previous value.
  int add(int number) const { return value().fetch_add(number); }
  int add_one() const { return add(1); }
  int get() const { return value(); }

 private:
  std::atomic<int>& value() const { return *reinterpret_cast<std::atomic<int>*>(memory_->bytes().data()); }
  std::shared_ptr<Mapping> memory_;
};

/// Returns the sample indices of the batch, after checking every byte of every field.
std::vector<std::uint64_t> checked_indices(const Batch& batch);

/// Reads the rest of the epoch; returns checked_indices() of each batch.
std::vector<std::vector<std::uint64_t>> rest_of_epoch(DataLoader& loader);

/// Reads up to `epochs` epochs and returns the message of the RunError that ends them, or nullopt if there is none.
std::optional<std::string> error_of(DataLoader& loader, int epochs = 1);

/// Returns whether the process exists, even as a zombie.
bool exists(pid_t pid);

}  // namespace trainyard
