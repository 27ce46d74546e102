#include "support/checkable_pool.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "util/error.h"
#include "util/random.h"

namespace trainyard {

std::byte CheckableDataset::byte_of(std::size_t index, std::size_t place) {
  return static_cast<std::byte>(mix64(index * 64 + place) >> 56);
}

std::int64_t CheckableDataset::get(std::size_t index, std::span<std::byte> out) const {
  if (hook_) hook_(index);
  for (std::size_t place = 0; place < out.size(); ++place) out[place] = byte_of(index, place);
  return label_of(index);
}

DatasetFactory checkable(std::size_t train, std::size_t test, GetHook hook) {
  return [=] {
    std::vector<LoadedSplit> splits(2);
    splits[0].dataset = std::make_unique<CheckableDataset>(train, hook);
    splits[1].dataset = std::make_unique<CheckableDataset>(test, nullptr);
    return splits;
  };
}

std::vector<std::uint64_t> checked_indices(const Batch& batch) {
  std::vector<std::uint64_t> indices;
  const std::size_t bytes = batch.sample().bytes();
  EXPECT_EQ(batch.images().size(), batch.count() * bytes);
  EXPECT_EQ(batch.labels().size(), batch.count());
  for (std::size_t i = 0; i < batch.count(); ++i) {
    const std::uint64_t index = batch.sample_index(i);
    EXPECT_EQ(batch.labels()[i], CheckableDataset::label_of(index));
    for (std::size_t place = 0; place < bytes; ++place) {
      if (batch.images()[i * bytes + place] == CheckableDataset::byte_of(index, place)) continue;
      ADD_FAILURE() << "byte " << place << " of sample " << index << " is wrong";
      break;
    }
    indices.push_back(index);
  }
  return indices;
}

std::vector<std::vector<std::uint64_t>> rest_of_epoch(DataLoader& loader) {
  std::vector<std::vector<std::uint64_t>> batches;
  for (std::uint64_t number = loader.next_batch(); auto batch = loader.next(); ++number) {
    EXPECT_EQ(batch->number(), number);
    batches.push_back(checked_indices(*batch));
  }
  return batches;
}

std::optional<std::string> error_of(DataLoader& loader, int epochs) {
  try {
    for (int epoch = 0; epoch < epochs; ++epoch) {
      loader.start_epoch(epoch);
      rest_of_epoch(loader);
    }
  } catch (const RunError& e) {
    return e.what();
  }
  return std::nullopt;
}

bool exists(pid_t pid) { return kill(pid, 0) == 0; }

}  // namespace trainyard
