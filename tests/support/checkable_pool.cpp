#include "support/checkable_pool.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <signal.h>

#include "datasets/collate.h"
#include "util/error.h"
#include "util/random.h"

namespace trainyard {

std::byte CheckableDataset::byte_of(std::size_t index, std::size_t place) {
  return static_cast<std::byte>(mix64(index * 64 + place) >> 56);
}

CheckableDataset::CheckableDataset(std::size_t size, ReadHook hook, std::int64_t bytes, bool varying)
    : size_(size), hook_(std::move(hook)), fields_{{.name = "image", .shape = {bytes, 1, 1}}, label_field(5)} {
  if (!varying) return;
  fields_.push_back({.name = "words", .dtype = DType::int32, .shape = {9}, .varies = true, .values = ValueRange{1000}});
  fields_.push_back({.name = "boxes", .shape = {4, 3}, .varies = true});
}

std::int64_t CheckableDataset::rows_of(const Field& field, std::size_t index) {
  if (!field.varies) return 1;
  return static_cast<std::int64_t>(key_of({index, key_of(field.name)}) %
                                   static_cast<std::uint64_t>(field.shape[0] + 1));
}

std::vector<std::byte> CheckableDataset::expected(const Field& field, std::size_t index) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(rows_of(field, index)) * field.row_bytes());
  if (field.name == "label") {
    const std::int64_t label = label_of(index);
    std::memcpy(bytes.data(), &label, sizeof label);
  } else if (field.name == "words") {
    for (std::size_t i = 0; i < bytes.size() / 4; ++i) {
      const auto word = static_cast<std::int32_t>(key_of({index, i}) % 1000);
      std::memcpy(bytes.data() + 4 * i, &word, sizeof word);
    }
  } else {
    const std::size_t first = field.name == "image" ? 0 : 1000;
    for (std::size_t place = 0; place < bytes.size(); ++place) bytes[place] = byte_of(index, first + place);
  }
  return bytes;
}

void CheckableDataset::read(std::size_t index, RandomStream /*random*/, Sample& sample) const {
  if (hook_) hook_(index);
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    const std::span<std::byte> out = sample.elements(i);
    const std::vector<std::byte> bytes = expected(fields_[i], index);
    EXPECT_EQ(out.size(), bytes.size());
    std::copy(bytes.begin(), bytes.end(), out.begin());
  }
}

void CheckableDataset::collate(std::size_t field, std::span<const std::int64_t> rows,
                               std::span<std::int64_t> begins) const {
  fields_[field].name == "boxes" ? concatenate(rows, begins) : pad(rows, begins);
}

DatasetFactory checkable(std::size_t train, std::size_t test, ReadHook hook, bool varying) {
  return [=] {
    std::vector<LoadedSplit> splits(2);
    splits[0].dataset = std::make_unique<CheckableDataset>(train, hook, 37, varying);
    splits[1].dataset = std::make_unique<CheckableDataset>(test, nullptr, 37, varying);
    return splits;
  };
}

namespace {

// Checks every byte of the field: the samples' bytes, and the zeros between them.
void check_field(const BatchField& values, const std::vector<std::uint64_t>& indices) {
  const Field& field = *values.field;
  const std::size_t row_bytes = field.row_bytes();
  ASSERT_EQ(values.rows.size(), field.varies ? indices.size() : 0);
  ASSERT_EQ(values.begins.size(), field.varies ? indices.size() + 1 : 0);
  const auto begin_of = [&](std::size_t i) {
    return field.varies ? static_cast<std::size_t>(values.begins[i]) * row_bytes : i * row_bytes;
  };
  ASSERT_EQ(values.elements.size(), begin_of(indices.size()));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    std::vector<std::byte> bytes = CheckableDataset::expected(field, indices[i]);
    if (field.varies) {
      ASSERT_EQ(values.rows[i], CheckableDataset::rows_of(field, indices[i]));
    }
    ASSERT_LE(bytes.size(), begin_of(i + 1) - begin_of(i));
    bytes.resize(begin_of(i + 1) - begin_of(i));
    const auto found = values.elements.subspan(begin_of(i), bytes.size());
    if (std::equal(bytes.begin(), bytes.end(), found.begin())) continue;
    ADD_FAILURE() << "the field " << field.name << " of sample " << indices[i] << " is wrong";
  }
}

}  // namespace

std::vector<std::uint64_t> checked_indices(const Batch& batch) {
  std::vector<std::uint64_t> indices;
  for (std::size_t i = 0; i < batch.count(); ++i) indices.push_back(batch.sample_index(i));
  for (const BatchField& values : batch.fields()) check_field(values, indices);
  return indices;
}

std::vector<std::vector<std::uint64_t>> rest_of_epoch(DataLoader& loader) {
  std::vector<std::vector<std::uint64_t>> batches;
  for (std::uint64_t number = loader.next_batch(); auto batch = loader.next(); ++number) {
    EXPECT_EQ(batch->epoch() * loader.batches() + batch->number(), number);
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
