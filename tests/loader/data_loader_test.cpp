#include "loader/data_loader.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <unistd.h>

#include "support/checkable_pool.h"
#include "support/configured.h"
#include "support/image_files.h"
#include "support/images_in_memory.h"
#include "transforms/encoded_image.h"
#include "util/error.h"

namespace trainyard {
namespace {

using Indices = std::vector<std::uint64_t>;

Indices flatten(const std::vector<Indices>& batches) {
  Indices all;
  for (const Indices& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  return all;
}

Indices order_of(std::uint64_t seed, std::uint64_t epoch, std::uint64_t size) {
  const SampleOrder order(seed, epoch, size, true);
  Indices all;
  for (std::uint64_t position = 0; position < size; ++position) all.push_back(order(position));
  return all;
}

class DataLoaderWith : public testing::TestWithParam<int> {};

TEST_P(DataLoaderWith, DeliversTheOrderForEveryBatchSize) {
  for (const int batch_size : {1, 2, 3, 4, 5, 13, 14, 15, 27, 28, 29, 100, 101, 200}) {
    WorkerPool pool({.workers = GetParam(), .batch_size = batch_size, .prefetch = 3, .seed = 5}, checkable(101));
    DataLoader loader(pool, Split::train, {.shuffle = true});
    for (const std::uint64_t epoch : {0, 1}) {
      loader.start_epoch(epoch);
      const auto batches = rest_of_epoch(loader);
      ASSERT_EQ(batches.size(), (101 + batch_size - 1) / batch_size);
      ASSERT_EQ(flatten(batches), order_of(5, epoch, 101));
      for (std::size_t i = 0; i + 1 < batches.size(); ++i) ASSERT_EQ(batches[i].size(), batch_size);
    }
  }
}

TEST_P(DataLoaderWith, AugmentsEachSampleAsOneProcessDoes) {
  const auto images_with = [](int workers) {
    WorkerPool pool({.workers = workers, .batch_size = 9, .seed = 8}, [] {
      std::vector<LoadedSplit> splits = checkable(100)();
      splits[0].transforms = TransformPipeline({"random_crop(padding=1)"}, splits[0].dataset->fields());
      return splits;
    });
    DataLoader loader(pool, Split::train, {.shuffle = true});
    std::vector<std::byte> images;
    for (const std::uint64_t epoch : {0, 1}) {
      loader.start_epoch(epoch);
      while (const auto batch = loader.next()) {
        const std::span<const std::byte> elements = batch->field("image").elements;
        images.insert(images.end(), elements.begin(), elements.end());
      }
    }
    return images;
  };
  EXPECT_EQ(images_with(GetParam()), images_with(0));
}

TEST_P(DataLoaderWith, LeavesOutTheLastPartialBatchWhenAsked) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 10}, checkable(29));
  DataLoader loader(pool, Split::train, {.drop_last = true});
  loader.start_epoch(0);
  EXPECT_EQ(loader.batches(), 2u);
  EXPECT_EQ(flatten(rest_of_epoch(loader)).size(), 20u);
}

TEST_P(DataLoaderWith, HasNoBatchesForAnEmptySplit) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 10}, checkable(29, 0));
  DataLoader loader(pool, Split::val);
  loader.start_epoch(0);
  EXPECT_EQ(loader.batches(), 0u);
  EXPECT_FALSE(loader.next());
}

TEST_P(DataLoaderWith, BeginsWithEpoch0IfNotStarted) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 8, .seed = 3}, checkable(100));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  const auto batches = rest_of_epoch(loader);
  loader.start_epoch(0);
  EXPECT_EQ(batches, rest_of_epoch(loader));
  EXPECT_EQ(batches.size(), 13u);
}

TEST_P(DataLoaderWith, ResumesInTheMiddleOfAnEpoch) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 8, .seed = 3}, checkable(100));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  loader.start_epoch(4);
  const auto whole = rest_of_epoch(loader);
  for (std::uint64_t first = 0; first <= whole.size(); ++first) {
    loader.start_epoch(4, first);
    EXPECT_EQ(loader.next_batch(), 4 * loader.batches() + first);
    EXPECT_EQ(rest_of_epoch(loader),
              std::vector<Indices>(whole.begin() + static_cast<std::ptrdiff_t>(first), whole.end()));
  }
}

// Of the epochs `epochs` one after another, the batches `range`.
Indices part_of(std::uint64_t seed, std::uint64_t size, std::uint64_t epochs, std::uint64_t batch_size,
                const BatchRange& range) {
  const std::uint64_t batches = (size + batch_size - 1) / batch_size;
  Indices part;
  for (std::uint64_t epoch = 0; epoch < epochs; ++epoch) {
    const Indices order = order_of(seed, epoch, size);
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t batch = epoch * batches + i / batch_size;
      if (range.first <= batch && batch < range.end) part.push_back(order[i]);
    }
  }
  return part;
}

TEST_P(DataLoaderWith, ARangeMayBeginAndEndAnywhere) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 8, .seed = 3}, checkable(60));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  for (const BatchRange& range : {BatchRange{0, 3}, {3, 5}, {5, 12}, {12, 41}, {41, 41}, {41, 42}, {7, 8}}) {
    loader.start(range);
    EXPECT_EQ(flatten(rest_of_epoch(loader)), part_of(3, 60, 6, 8, range)) << range.first;
  }
}

TEST_P(DataLoaderWith, ARangeContinuesAfterAnotherLoadersTurn) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 8, .prefetch = 4, .seed = 3}, checkable(60, 30));
  DataLoader train(pool, Split::train, {.shuffle = true});
  DataLoader test(pool, Split::val);
  for (const std::uint64_t steps : {1, 3, 8, 21}) {
    Indices seen;
    for (std::uint64_t first = 0; first < 40; first += steps) {
      train.follow_with(&test, test.range_of(0));
      train.start({first, first + steps});
      const Indices part = flatten(rest_of_epoch(train));
      seen.insert(seen.end(), part.begin(), part.end());
      test.follow_with(&train, {first + steps, first + 2 * steps});
      test.start_epoch(0);
      ASSERT_EQ(flatten(rest_of_epoch(test)).size(), 30u);
    }
    EXPECT_EQ(seen, part_of(3, 60, 10, 8, {0, (40 + steps - 1) / steps * steps})) << steps;
  }
}

TEST_P(DataLoaderWith, ReadsNothingTwiceIfAnEpochEndsInItsMiddle) {
  const SharedCounter reads;
  WorkerPool pool({.workers = GetParam(), .batch_size = 10, .prefetch = 4},
                  checkable(200, 20, [=](std::size_t) { reads.add_one(); }));
  DataLoader train(pool, Split::train, {.shuffle = true});
  DataLoader test(pool, Split::val);
  for (std::uint64_t first = 0; first < 20; first += 5) {
    train.follow_with(&test, test.range_of(0));
    train.start({first, first + 5});
    rest_of_epoch(train);
    test.follow_with(first < 15 ? &train : nullptr, {first + 5, first + 10});
    test.start_epoch(0);
    rest_of_epoch(test);
  }
  EXPECT_EQ(reads.get(), 200);
}

TEST_P(DataLoaderWith, AnEpochHasAtMostTheBatchesAskedFor) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 8, .seed = 3}, checkable(60));
  DataLoader loader(pool, Split::train, {.shuffle = true, .max_batches = 2});
  EXPECT_EQ(loader.batches(), 2u);
  EXPECT_EQ(loader.samples(), 16u);
  loader.start({0, 4});
  const Indices first = order_of(3, 0, 60);
  const Indices second = order_of(3, 1, 60);
  Indices expected(first.begin(), first.begin() + 16);
  expected.insert(expected.end(), second.begin(), second.begin() + 16);
  EXPECT_EQ(flatten(rest_of_epoch(loader)), expected);
  EXPECT_EQ(DataLoader(pool, Split::train, {.max_batches = 100}).batches(), 8u);
}

TEST_P(DataLoaderWith, RepeatsTheFirstEpochIfAsked) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 8, .seed = 3}, checkable(20));
  DataLoader loader(pool, Split::train, {.shuffle = true, .repeat = true});
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    loader.start_epoch(epoch);
    EXPECT_EQ(loader.random_keys(epoch, 0), loader.random_keys(0, 0));
    EXPECT_EQ(flatten(rest_of_epoch(loader)), order_of(3, 0, 20));
  }
}

DatasetFactory uneven(std::size_t train) {
  return [train] {
    std::vector<LoadedSplit> splits = checkable(0, 10)();
    splits[0].dataset = std::make_unique<UnevenDataset>(train, nullptr);
    splits[0].transforms = TransformPipeline({"random_vertical_flip(p=0.5)"}, splits[0].dataset->fields());
    return splits;
  };
}

// Returns the images of an epoch from a batch on, and their sample indices.
std::pair<std::vector<std::byte>, Indices> images_of_epoch(DataLoader& loader, std::uint64_t epoch,
                                                           std::uint64_t first_batch = 0) {
  std::vector<std::byte> images;
  Indices indices;
  loader.start_epoch(epoch, first_batch);
  while (const auto batch = loader.next()) {
    const std::span<const std::byte> elements = batch->field("image").elements;
    images.insert(images.end(), elements.begin(), elements.end());
    for (std::size_t i = 0; i < batch->count(); ++i) indices.push_back(batch->sample_index(i));
  }
  return {images, indices};
}

TEST_P(DataLoaderWith, DrawsBalancedBatchesAsOneProcessDoes) {
  const auto epochs_with = [](int workers) {
    WorkerPool pool({.workers = workers, .batch_size = 8, .sampling = Sampling::balanced, .seed = 3}, uneven(100));
    DataLoader loader(pool, Split::train, {.shuffle = true});
    return std::pair(images_of_epoch(loader, 0), images_of_epoch(loader, 1));
  };
  const auto [first, second] = epochs_with(GetParam());
  EXPECT_EQ(std::pair(first, second), epochs_with(0));
  EXPECT_NE(first.second, second.second);
  EXPECT_EQ(first.second.size(), 100u);
  const auto rare = std::count_if(first.second.begin(), first.second.end(), [](std::uint64_t i) { return i >= 90; });
  EXPECT_GT(rare, 30);
  EXPECT_LT(rare, 70);
}

TEST_P(DataLoaderWith, ResumesBalancedSamplingInTheMiddleOfAnEpoch) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 8, .sampling = Sampling::balanced, .seed = 3}, uneven(100));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  const auto [images, indices] = images_of_epoch(loader, 4);
  for (std::uint64_t first = 0; first <= loader.batches(); ++first) {
    const auto from = static_cast<std::ptrdiff_t>(std::min<std::size_t>(8 * first, indices.size()));
    const auto [rest, rest_indices] = images_of_epoch(loader, 4, first);
    EXPECT_EQ(rest, std::vector<std::byte>(images.begin() + 37 * from, images.end()));
    EXPECT_EQ(rest_indices, Indices(indices.begin() + from, indices.end()));
  }
}

TEST_P(DataLoaderWith, AugmentsASampleThatIsDrawnTwiceInTwoWays) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 8, .sampling = Sampling::balanced, .seed = 3}, uneven(100));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  const auto [images, indices] = images_of_epoch(loader, 0);
  std::map<std::uint64_t, std::set<std::vector<std::byte>>> seen;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const auto image = images.begin() + static_cast<std::ptrdiff_t>(37 * i);
    seen[indices[i]].insert(std::vector(image, image + 37));
  }
  EXPECT_TRUE(std::any_of(seen.begin(), seen.end(), [](const auto& sample) { return sample.second.size() > 1; }));
}

TEST_P(DataLoaderWith, ReadsOtherSplitsOnceWithBalancedSampling) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 8, .sampling = Sampling::balanced}, uneven(100));
  DataLoader val(pool, Split::val);
  val.start_epoch(0);
  EXPECT_EQ(flatten(rest_of_epoch(val)), (Indices{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST_P(DataLoaderWith, TellsTheSamplesOfAnyBatchWithoutLoadingIt) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 8, .seed = 3}, checkable(100));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  loader.start_epoch(4);
  const auto batches = rest_of_epoch(loader);
  loader.start_epoch(5);
  for (std::size_t i = 0; i < batches.size(); ++i) EXPECT_EQ(loader.sample_indices(4, i), batches[i]);
}

TEST_P(DataLoaderWith, RanksTogetherAreTheSingleProcessOrder) {
  for (const int world_size : {2, 3}) {
    constexpr int batch_size = 4;
    std::vector<std::vector<Indices>> ranks;
    for (int rank = 0; rank < world_size; ++rank) {
      WorkerPool pool({.workers = GetParam(), .batch_size = batch_size, .seed = 9}, checkable(101));
      DataLoader loader(pool, Split::train, {.shuffle = true, .rank = rank, .world_size = world_size});
      loader.start_epoch(2);
      ranks.push_back(rest_of_epoch(loader));
      ASSERT_EQ(ranks.back().size(), loader.batches());
    }
    Indices together;
    for (std::size_t batch = 0; batch < ranks[0].size(); ++batch) {
      for (std::size_t i = 0; i < batch_size; ++i) {
        for (const auto& rank : ranks) {
          if (i < rank[batch].size()) together.push_back(rank[batch][i]);
        }
      }
    }
    EXPECT_EQ(together, order_of(9, 2, 101));
  }
}

TEST_P(DataLoaderWith, AnAbandonedEpochLeavesNothingBehind) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 7, .prefetch = 5}, checkable(200, 50));
  DataLoader train(pool, Split::train, {.shuffle = true});
  for (std::uint64_t epoch = 0; epoch < 30; ++epoch) {
    train.start_epoch(epoch);
    for (std::uint64_t i = 0; i < epoch % 4; ++i) checked_indices(*train.next());
  }
  train.start_epoch(30);
  EXPECT_EQ(flatten(rest_of_epoch(train)), order_of(0, 30, 200));
}

TEST_P(DataLoaderWith, WhatFollowsHasTheSameOrder) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 7, .prefetch = 4, .seed = 2}, checkable(60, 30));
  DataLoader train(pool, Split::train, {.shuffle = true});
  DataLoader test(pool, Split::val);
  for (std::uint64_t epoch = 0; epoch < 5; ++epoch) {
    train.follow_with(&test, test.range_of(0));
    train.start_epoch(epoch);
    ASSERT_EQ(flatten(rest_of_epoch(train)), order_of(2, epoch, 60));
    test.follow_with(&train, train.range_of(epoch + 1));
    test.start_epoch(0);
    ASSERT_EQ(flatten(rest_of_epoch(test)).size(), 30u);
  }
}

TEST_P(DataLoaderWith, StartsTheAnnouncedEpochEarly) {
  const SharedCounter reads;
  WorkerPool pool({.workers = GetParam(), .batch_size = 10, .prefetch = 4},
                  checkable(40, 0, [=](std::size_t) { reads.add_one(); }));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  loader.follow_with(&loader, loader.range_of(1));
  loader.start_epoch(0);
  EXPECT_EQ(flatten(rest_of_epoch(loader)), order_of(0, 0, 40));
  EXPECT_TRUE(pool.has_published());
  while (GetParam() > 0 && reads.get() < 50) usleep(1'000);  // the first batch of the next epoch has been read
  loader.follow_with(nullptr, {});
  loader.start_epoch(1);
  EXPECT_EQ(flatten(rest_of_epoch(loader)), order_of(0, 1, 40));
  EXPECT_FALSE(pool.has_published());
  EXPECT_EQ(reads.get(), 80) << "each sample is read once per epoch";
}

TEST_P(DataLoaderWith, DropsTheAnnouncedEpochIfAnotherIsStarted) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 7, .prefetch = 5}, checkable(60, 30));
  DataLoader train(pool, Split::train, {.shuffle = true});
  DataLoader test(pool, Split::val);
  train.follow_with(&test, test.range_of(0));
  const auto start_again = [&](std::uint64_t epoch, std::uint64_t batch) {
    train.start_epoch(epoch, batch);
    return flatten(rest_of_epoch(train));
  };
  EXPECT_EQ(start_again(0, 0), order_of(0, 0, 60));
  EXPECT_EQ(start_again(1, 0), order_of(0, 1, 60));  // test was announced
  test.follow_with(&train, train.range_of(2));
  test.start_epoch(0);
  EXPECT_EQ(flatten(rest_of_epoch(test)).size(), 30u);
  EXPECT_EQ(start_again(3, 0), order_of(0, 3, 60));  // epoch 2 was announced
  test.start_epoch(0);
  for (int i = 0; i < 3; ++i) checked_indices(*test.next());
  const Indices whole = order_of(0, 2, 60);
  EXPECT_EQ(start_again(2, 8), Indices(whole.begin() + 56, whole.end()));
  for (int i = 0; i < 2; ++i) checked_indices(*test.next());  // resumes where it was
  EXPECT_FALSE(test.next());
}

TEST_P(DataLoaderWith, LoadersInterleaveOverOnePool) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 7}, checkable(100, 50));
  DataLoader train(pool, Split::train, {.shuffle = true});
  DataLoader test(pool, Split::val);
  Indices every_test_sample(50);
  std::iota(every_test_sample.begin(), every_test_sample.end(), 0);

  Indices seen;
  train.start_epoch(1);
  while (const auto batch = train.next()) {
    const Indices indices = checked_indices(*batch);
    seen.insert(seen.end(), indices.begin(), indices.end());
    test.start_epoch(0);
    ASSERT_EQ(flatten(rest_of_epoch(test)), every_test_sample);
  }
  EXPECT_EQ(seen, order_of(0, 1, 100));
}

TEST_P(DataLoaderWith, ABatchStaysWholeWhileItIsHeldAndSlotsReturnInAnyOrder) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 6, .prefetch = 2}, checkable(200));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  loader.start_epoch(0);
  std::optional<Batch> kept = loader.next();
  const Indices kept_indices = checked_indices(*kept);
  std::optional<Batch> before = loader.next();
  for (int i = 0; i < 20; ++i) {
    std::optional<Batch> now = loader.next();
    ASSERT_EQ(checked_indices(*kept), kept_indices);
    checked_indices(*before);
    before = std::move(now);
  }
}

TEST_P(DataLoaderWith, HoldingEverySlotIsAnErrorNotAHang) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 6, .prefetch = 1}, checkable(200));
  DataLoader loader(pool, Split::train);
  loader.start_epoch(0);
  std::vector<Batch> held;
  EXPECT_THROW(for (;;) held.push_back(*loader.next()), RunError);
  EXPECT_EQ(held.size(), pool.arena().shape().slots);
  const std::uint64_t next = held.size();
  held.pop_back();
  EXPECT_EQ(loader.next()->number(), next);
}

TEST_P(DataLoaderWith, AFailingSampleIsNamedAtItsPlaceAndThePoolStaysUsable) {
  const auto fail = [](std::size_t index) {
    if (index == 77 || index == 78) throw RunError("datasets", "photo {} is torn", index);
  };
  WorkerPool pool({.workers = GetParam(), .batch_size = 10}, checkable(100, 20, fail));
  DataLoader train(pool, Split::train);
  for (int attempt = 0; attempt < 2; ++attempt) {
    train.start_epoch(0);
    for (int i = 0; i < 7; ++i) EXPECT_EQ(checked_indices(*train.next()).size(), 10u);
    for (int again = 0; again < 2; ++again) {
      try {
        train.next();
        FAIL();
      } catch (const RunError& e) {
        EXPECT_STREQ(e.what(), "[loader] sample 77 of train cannot be read: [datasets] photo 77 is torn");
      }
    }
    DataLoader test(pool, Split::val);
    test.start_epoch(0);
    EXPECT_EQ(flatten(rest_of_epoch(test)).size(), 20u);
  }
}

TEST_P(DataLoaderWith, SamplesMayBeTinyOrHuge) {
  for (const std::int64_t bytes : {1, 3'000'001}) {
    WorkerPool pool({.workers = GetParam(), .batch_size = 3, .prefetch = 1, .seed = 2}, [=] {
      std::vector<LoadedSplit> splits(1);
      splits[0].dataset = std::make_unique<CheckableDataset>(7, nullptr, bytes);
      return splits;
    });
    DataLoader loader(pool, Split::train, {.shuffle = true});
    loader.start_epoch(1);
    EXPECT_EQ(flatten(rest_of_epoch(loader)), order_of(2, 1, 7));
  }
}

TEST_P(DataLoaderWith, RetryReadsASampleAgain) {
  const SharedCounter failures;
  WorkerPool pool({.workers = GetParam(), .batch_size = 10, .on_worker_error = OnWorkerError::retry},
                  checkable(100, 0, [=](std::size_t index) {
                    if (index == 77 && failures.add_one() < max_tries - 1) throw RunError("datasets", "try again");
                  }));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  loader.start_epoch(0);
  EXPECT_EQ(flatten(rest_of_epoch(loader)), order_of(0, 0, 100));
  EXPECT_EQ(pool.faults().retries, max_tries - 1);
  EXPECT_EQ(pool.faults().skipped, 0u);
}

TEST_P(DataLoaderWith, RetryEndsAtASampleThatStaysUnreadable) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 10, .on_worker_error = OnWorkerError::retry},
                  checkable(100, 0, [](std::size_t index) {
                    if (index == 77) throw RunError("datasets", "photo {} is torn", index);
                  }));
  DataLoader loader(pool, Split::train);
  EXPECT_EQ(error_of(loader), "[loader] sample 77 of train cannot be read: [datasets] photo 77 is torn");
}

// The same samples are missing at the same positions, with any number of workers and from any first batch.
TEST_P(DataLoaderWith, SkipLeavesOutTheUnreadableSamplesAndNoOthers) {
  const auto unreadable = [](std::uint64_t index) { return index % 7 == 3 || index < 5; };
  for (const int batch_size : {4, 9, 32, 101}) {
    WorkerPool pool(
        {.workers = GetParam(), .batch_size = batch_size, .on_worker_error = OnWorkerError::skip, .seed = 6},
        checkable(101, 0, [=](std::size_t index) {
          if (unreadable(index)) throw RunError("datasets", "photo {} is torn", index);
        }));
    DataLoader loader(pool, Split::train, {.shuffle = true});
    std::vector<Indices> expected;
    std::uint64_t skipped = 0;
    for (std::uint64_t position = 0; position < 101; ++position) {
      if (position % batch_size == 0) expected.emplace_back();
      const std::uint64_t index = SampleOrder(6, 1, 101, true)(position);
      unreadable(index) ? ++skipped : (expected.back().push_back(index), 0);
    }
    loader.start_epoch(1);
    EXPECT_EQ(rest_of_epoch(loader), expected);
    EXPECT_EQ(pool.faults().skipped, skipped);
    const std::uint64_t middle = expected.size() / 2;
    loader.start_epoch(1, middle);
    EXPECT_EQ(rest_of_epoch(loader),
              std::vector<Indices>(expected.begin() + static_cast<std::ptrdiff_t>(middle), expected.end()));
  }
}

TEST_P(DataLoaderWith, SkipNamesASampleOnceHoweverManyPassesLackIt) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 10, .on_worker_error = OnWorkerError::skip},
                  checkable(100, 0, [](std::size_t index) {
                    if (index == 42 || index == 77) throw RunError("datasets", "photo {} is torn", index);
                  }));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  testing::internal::CaptureStdout();  // of the log
  for (std::uint64_t pass = 0; pass < 3; ++pass) {
    loader.start_epoch(pass);
    rest_of_epoch(loader);
  }
  const std::string warnings = testing::internal::GetCapturedStdout();
  for (const char* const one : {"sample 42 of train is left out: [datasets] photo 42 is torn",
                                "sample 77 of train is left out: [datasets] photo 77 is torn"}) {
    const std::size_t first = warnings.find(one);
    EXPECT_NE(first, std::string::npos) << warnings;
    EXPECT_EQ(warnings.find(one, first + 1), std::string::npos) << warnings;
  }
  EXPECT_EQ(pool.faults().skipped, 6u);
  EXPECT_EQ(pool.faults().skipped_samples, 2u);
}

TEST_P(DataLoaderWith, ABatchOfWhichNothingCanBeReadEndsTheRunEvenUnderSkip) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 10, .on_worker_error = OnWorkerError::skip},
                  checkable(100, 0, [](std::size_t index) {
                    if (index / 10 == 4) throw RunError("datasets", "photo {} is torn", index);
                  }));
  DataLoader loader(pool, Split::train);
  EXPECT_EQ(
      error_of(loader),
      "[loader] none of the 10 samples of a batch of train can be read, for one sample 40: [datasets] photo 40 is "
      "torn");
}

TEST_P(DataLoaderWith, TellsWhatTheDatasetsAre) {
  WorkerPool pool({.workers = GetParam()}, checkable(29, 31));
  ASSERT_EQ(pool.splits().size(), 2u);
  const CheckableDataset expected(31, nullptr);
  const SplitInfo& test = pool.splits()[1];
  EXPECT_EQ(test.size, 31u);
  EXPECT_EQ(test.fields, expected.fields());
  EXPECT_EQ(test.padded, (std::vector<bool>{false, false, true, false}));
  EXPECT_EQ(test.class_names, expected.class_names());
  EXPECT_EQ(test.fingerprint, expected.fingerprint());
  EXPECT_EQ(test.channel_mean, expected.channel_mean());
  EXPECT_EQ(test.channel_std, expected.channel_std());
  EXPECT_EQ(test.class_counts, expected.class_counts());
  const std::span<const LeftOut> left_out = expected.left_out();
  EXPECT_THAT(test.left_out, testing::ElementsAreArray(left_out));
}

TEST_P(DataLoaderWith, CountsWhatItsWorkersDid) {
  WorkerPool pool({.workers = GetParam(), .batch_size = 10}, checkable(100));
  DataLoader loader(pool, Split::train);
  loader.start_epoch(0);
  rest_of_epoch(loader);
  std::uint64_t samples = 0;
  for (const WorkerStatus& worker : pool.status()) samples += worker.samples;
  EXPECT_EQ(samples, 100u);
  EXPECT_GT(loader.waited_seconds(), 0);
}

TEST_P(DataLoaderWith, TheFactorysErrorKeepsItsKindAndText) {
  const auto fails = []() -> std::vector<LoadedSplit> { throw UsageError("datasets", "no files in {}", "data.root"); };
  try {
    WorkerPool pool({.workers = GetParam()}, fails);
    FAIL();
  } catch (const UsageError& e) {
    EXPECT_STREQ(e.what(), "[datasets] no files in data.root");
  }
}

TEST_P(DataLoaderWith, ALabelOutsideTheClassesIsRefused) {
  class BadLabel : public CheckableDataset {
   public:
    explicit BadLabel(std::int64_t label) : CheckableDataset(10, nullptr), label_(label) {}
    void read(std::size_t index, RandomStream random, Sample& sample) const override {
      CheckableDataset::read(index, random, sample);
      sample.set(1, label_);
    }

   private:
    std::int64_t label_;
  };
  for (const std::int64_t label : {5, -1}) {
    WorkerPool pool({.workers = GetParam()}, [label] {
      std::vector<LoadedSplit> splits(1);
      splits[0].dataset = std::make_unique<BadLabel>(label);
      return splits;
    });
    DataLoader loader(pool, Split::train);
    EXPECT_EQ(
        error_of(loader),
        fmt::format("[loader] sample 0 of train cannot be read: [data] 0: label has the value {}; allowed: 0 to 4",
                    label));
  }
}

TEST_P(DataLoaderWith, WritingPastTheBatchIsDetected) {
  class TooLong : public CheckableDataset {
   public:
    using CheckableDataset::CheckableDataset;
    void read(std::size_t index, RandomStream random, Sample& sample) const override {
      CheckableDataset::read(index, random, sample);
      const std::span<std::byte> out = sample.elements(0);
      std::fill_n(out.data(), out.size() + 16, std::byte{1});
    }
  };
  WorkerPool pool({.workers = GetParam(), .batch_size = 3}, [] {
    std::vector<LoadedSplit> splits(1);
    splits[0].dataset = std::make_unique<TooLong>(3, nullptr);
    return splits;
  });
  DataLoader loader(pool, Split::train);
  EXPECT_THAT(error_of(loader).value_or(""), testing::HasSubstr("written past the end of the field image of a batch"));
}

INSTANTIATE_TEST_SUITE_P(Workers, DataLoaderWith, testing::Values(0, 1, 2, 4, 7),
                         [](const auto& with) { return std::to_string(with.param); });

DatasetFactory checkable_with(const std::vector<std::string>& transforms) {
  return [transforms] {
    std::vector<LoadedSplit> splits(1);
    splits[0].dataset = std::make_unique<CheckableDataset>(100, nullptr, 37, /*varying=*/false);
    splits[0].transforms = TransformPipeline(transforms, splits[0].dataset->fields());
    return splits;
  };
}

TEST_P(DataLoaderWith, DeliversUnflippedSamplesIfTheConsumerFlipsThem) {
  const auto factory = [] {
    std::vector<LoadedSplit> splits(1);
    splits[0].dataset = make_dataset(synthetic_data("3,4,1", 40), Split::train);
    splits[0].transforms = TransformPipeline({"random_horizontal_flip"}, splits[0].dataset->fields());
    return splits;
  };
  WorkerPool pool({.workers = GetParam(), .batch_size = 9, .seed = 8}, factory);
  const std::optional<RandomMirror>& mirror = pool.splits()[0].mirror;
  ASSERT_EQ(mirror, factory()[0].transforms.mirror());
  const auto images_of = [&](const DataLoaderOptions& options) {
    DataLoader loader(pool, Split::train, options);
    std::vector<std::byte> images;
    loader.start_epoch(2);
    while (const auto batch = loader.next()) {
      const std::span<const std::byte> elements = batch->field("image").elements;
      images.insert(images.end(), elements.begin(), elements.end());
    }
    return images;
  };
  std::vector<std::byte> images = images_of({.unmirrored = true});
  for (std::size_t index = 0; index < 40; ++index) {
    if (!(*mirror)(8, 2, index)) continue;
    for (std::size_t row = 0; row < 3; ++row) {
      const auto first = images.begin() + static_cast<std::ptrdiff_t>((index * 3 + row) * 4);
      std::reverse(first, first + 4);
    }
  }
  EXPECT_EQ(images, images_of({}));
}

TEST_P(DataLoaderWith, RefusesToKeepOnTheGpuWhatIsDrawnAnewInEachEpoch) {
  const PoolOptions options{.workers = GetParam(), .cache = SampleCache::gpu};
  try {
    WorkerPool(options, checkable_with({"random_crop(padding=1)", "random_horizontal_flip"}));
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("[loader.cache] gpu"),
                                             testing::HasSubstr("'random_crop' of transform.train"),
                                             testing::HasSubstr("Set loader.cache = none")));
  }
  EXPECT_NO_THROW(WorkerPool(options, checkable_with({"resize(height=3, width=2)", "random_horizontal_flip"})));
}

TEST(DataLoader, KnowsEverythingOfTheFieldsThatWorkersWrite) {
  const auto splits = [] {
    std::vector<LoadedSplit> made(1);
    made[0].dataset = std::make_unique<ImagesInMemory>(std::vector{jpeg_file(ramp(20, 30, 3))});
    made[0].transforms = TransformPipeline({"resize(height=8, width=9)"}, made[0].dataset->fields(), DecodeMode::gpu);
    made[0].transforms.leave_files_to_gpu(5000);
    return made;
  };
  const Field image{
      .name = "image", .shape = {8, 9, 3}, .is_stored_image = true, .encoded_bytes = encoded_image_start + 5000};
  for (const int workers : {0, 1}) {
    WorkerPool pool({.workers = workers, .batch_size = 1}, splits);
    EXPECT_THAT(pool.splits()[0].fields, testing::ElementsAre(image)) << workers << " workers";
  }
}

}  // namespace
}  // namespace trainyard
