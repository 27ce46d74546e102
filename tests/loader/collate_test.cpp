#include "datasets/collate.h"

#include <algorithm>
#include <numeric>

#include <gmock/gmock.h>

#include "loader/data_loader.h"
#include "support/error_of.h"
#include "util/random.h"

namespace trainyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Rows = std::vector<std::int64_t>;
using Collate = void (*)(std::span<const std::int64_t>, std::span<std::int64_t>);

constexpr std::int64_t longest = 9;
constexpr std::int64_t width = 3;
constexpr std::size_t size = 61;

std::int64_t rows_of(std::size_t index) { return static_cast<std::int64_t>(mix64(index) % (longest + 1)); }
std::byte byte_of(std::size_t index, std::size_t place) { return std::byte(1 + mix64(index * 64 + place) % 255); }

// Matrices of 0 to 9 rows without a zero byte.
class Sequences : public Dataset {
 public:
  explicit Sequences(Collate hook) : hook_(hook) {}
  std::size_t size() const override { return trainyard::size; }
  const std::vector<Field>& fields() const override { return fields_; }
  std::int64_t rows(std::size_t /*field*/, std::size_t index) const override { return rows_of(index); }
  void collate(std::size_t /*field*/, std::span<const std::int64_t> rows,
               std::span<std::int64_t> begins) const override {
    hook_(rows, begins);
  }
  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    const std::span<std::byte> out = sample.elements(0);
    EXPECT_EQ(out.size(), rows(0, index) * width);
    for (std::size_t place = 0; place < out.size(); ++place) out[place] = byte_of(index, place);
    sample.set(1, static_cast<std::int64_t>(index % 2));
  }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::uint64_t fingerprint() const override { return 1; }

 private:
  Collate hook_;
  std::vector<Field> fields_{{.name = "words", .shape = {longest, width}, .varies = true}, label_field(2)};
  std::vector<std::string> class_names_ = {"even", "odd"};
};

template <typename DatasetType = Sequences>
DatasetFactory factory(Collate collate) {
  return [=] {
    std::vector<LoadedSplit> splits(1);
    splits[0].dataset = std::make_unique<DatasetType>(collate);
    return splits;
  };
}

// Checks every byte of the batch: the samples' bytes, and the zeros between them.
void check(const Batch& batch) {
  const BatchField& words = batch.field("words");
  ASSERT_EQ(words.rows.size(), batch.count());
  ASSERT_EQ(words.begins.size(), batch.count() + 1);
  ASSERT_EQ(words.elements.size(), static_cast<std::size_t>(words.begins.back() * width));
  for (std::size_t i = 0; i < batch.count(); ++i) {
    const std::uint64_t index = batch.sample_index(i);
    EXPECT_EQ(batch.field("label").as<std::int64_t>()[i], static_cast<std::int64_t>(index % 2));
    ASSERT_EQ(words.rows[i], rows_of(index));
    const auto begin = static_cast<std::size_t>(words.begins[i] * width);
    const auto end = static_cast<std::size_t>(words.begins[i + 1] * width);
    for (std::size_t at = begin; at < end; ++at) {
      const bool inside = at - begin < static_cast<std::size_t>(words.rows[i] * width);
      ASSERT_EQ(words.elements[at], inside ? byte_of(index, at - begin) : std::byte{0}) << "sample " << index;
    }
  }
}

TEST(Collate, PadGivesEachSampleTheRowsOfTheLongest) {
  Rows begins(5);
  pad(Rows{2, 0, 3, 1}, begins);
  EXPECT_THAT(begins, ElementsAre(0, 3, 6, 9, 12));
}

TEST(Collate, ConcatenateLeavesNoGaps) {
  Rows begins(5);
  concatenate(Rows{2, 0, 3, 1}, begins);
  EXPECT_THAT(begins, ElementsAre(0, 2, 2, 5, 6));
}

class CollateWith : public testing::TestWithParam<int> {};

TEST_P(CollateWith, DeliversEachSampleWhereTheHookPutsIt) {
  for (const Collate collate : {&pad, &concatenate}) {
    for (const int batch_size : {1, 4, 7, 61, 100}) {
      WorkerPool pool({.workers = GetParam(), .batch_size = batch_size, .prefetch = 2, .seed = 3}, factory(collate));
      DataLoader loader(pool, Split::train, {.shuffle = true});
      std::size_t samples = 0;
      for (const std::uint64_t epoch : {0, 1}) {
        loader.start_epoch(epoch);
        while (const auto batch = loader.next()) {
          check(*batch);
          samples += batch->count();
          const BatchField& words = batch->field("words");
          const std::int64_t all = std::accumulate(words.rows.begin(), words.rows.end(), std::int64_t{0});
          const std::int64_t most = *std::max_element(words.rows.begin(), words.rows.end());
          EXPECT_EQ(words.begins.back(), collate == &pad ? most * static_cast<std::int64_t>(batch->count()) : all);
        }
      }
      EXPECT_EQ(samples, 2 * size);
    }
  }
}

TEST_P(CollateWith, EmptyBatchesOfARankHaveNoRows) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 2}, factory(&pad));
  DataLoader loader(pool, Split::train, {.rank = 1, .world_size = 3});  // 61 samples: ten batches and one sample
  loader.start_epoch(0);
  std::vector<std::size_t> counts;
  while (const auto batch = loader.next()) {
    check(*batch);
    counts.push_back(batch->count());
  }
  ASSERT_EQ(counts.size(), 11u);
  EXPECT_EQ(counts.back(), 0u);
}

// Samples 5 and 17 cannot be read. Even the length of 23 is unknown, and 31 claims a length above the limit.
class Damaged final : public Sequences {
 public:
  using Sequences::Sequences;
  std::int64_t rows(std::size_t field, std::size_t index) const override {
    if (index == 23) throw RunError("test", "no length");
    return index == 31 ? longest + 1 : Sequences::rows(field, index);
  }
  void read(std::size_t index, RandomStream random, Sample& sample) const override {
    std::ranges::fill(sample.elements(0), std::byte{77});
    if (index == 5 || index == 17) throw RunError("test", "damaged");
    Sequences::read(index, random, sample);
  }
};

TEST_P(CollateWith, LeavesOutWhatCannotBeRead) {
  for (const Collate collate : {&pad, &concatenate}) {
    WorkerPool pool({.workers = GetParam(), .batch_size = 8, .on_worker_error = OnWorkerError::skip, .seed = 3},
                    factory<Damaged>(collate));
    DataLoader loader(pool, Split::train, {.shuffle = true});
    loader.start_epoch(0);
    std::vector<std::uint64_t> left_out(size);
    std::iota(left_out.begin(), left_out.end(), 0);
    while (const auto batch = loader.next()) {
      check(*batch);
      for (std::size_t i = 0; i < batch->count(); ++i) std::erase(left_out, batch->sample_index(i));
    }
    EXPECT_THAT(left_out, ElementsAre(5, 17, 23, 31));
  }
}

TEST_P(CollateWith, StopsAtTheSampleAndNamesWhatItSays) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 8}, factory<Damaged>(&pad));
  DataLoader loader(pool, Split::train);
  const auto error_of_batch = [&](std::uint64_t number) {
    return error_of<RunError>([&] {
      loader.start_epoch(0, number);
      loader.next();
    });
  };
  EXPECT_THAT(error_of_batch(2), HasSubstr("sample 17 of train cannot be read: [test] damaged"));
  EXPECT_THAT(
      error_of_batch(3),
      HasSubstr("sample 31 of train cannot be read: [loader] rows() of the field words gives 10; a sample has 0 to 9"));
}

TEST_P(CollateWith, AHookThatLeavesTooLittleRoomStopsTheRun) {
  const Collate too_close = [](std::span<const std::int64_t>, std::span<std::int64_t> begins) {
    std::ranges::fill(begins, 0);
  };
  const Collate too_far = [](std::span<const std::int64_t>, std::span<std::int64_t> begins) {
    for (std::size_t i = 0; i < begins.size(); ++i) begins[i] = static_cast<std::int64_t>(i) * (longest + 1);
  };
  const Collate throws = [](std::span<const std::int64_t>, std::span<std::int64_t>) {
    throw RunError("test", "no idea");
  };
  for (const auto& [collate, text] : {std::pair{too_close, "each has its rows before the next"},
                                      std::pair{too_far, "all end at 36 at most"}, std::pair{throws, "no idea"}}) {
    // Not even with on_worker_error = skip: the samples are not at fault.
    WorkerPool pool({.workers = GetParam(), .batch_size = 4, .on_worker_error = OnWorkerError::skip}, factory(collate));
    DataLoader loader(pool, Split::train);
    loader.start_epoch(0);
    EXPECT_THAT(error_of<RunError>([&] { loader.next(); }), HasSubstr(text));
  }
}

TEST_P(CollateWith, TheCacheGivesTheSame) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 7, .cache = SampleCache::shm}, factory(&concatenate));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  for (const std::uint64_t epoch : {0, 1, 2}) {
    loader.start_epoch(epoch);
    while (const auto batch = loader.next()) check(*batch);
  }
}

INSTANTIATE_TEST_SUITE_P(Workers, CollateWith, testing::Values(0, 1, 3),
                         [](const auto& instance) { return std::to_string(instance.param); });

TEST(Collate, VaryingSamplesAreNotKeptOnTheGpu) {
  EXPECT_THAT(error_of<UsageError>([] { WorkerPool({.workers = 0, .cache = SampleCache::gpu}, factory(&pad)); }),
              HasSubstr("the field words of train varies"));
}

TEST(Collate, VaryingSamplesHaveNoTransforms) {
  const Sequences dataset(&pad);
  EXPECT_THAT(error_of<UsageError>([&] { TransformPipeline({"random_horizontal_flip"}, dataset.fields()); }),
              HasSubstr("the samples are words (uint8, 9 x 3 at most), label (int64)"));
}

}  // namespace
}  // namespace trainyard
