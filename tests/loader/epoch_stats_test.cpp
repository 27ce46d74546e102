#include "loader/epoch_stats.h"

#include <gmock/gmock.h>

#include "support/checkable_pool.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

TEST(EpochMeter, CountsWhatWasAddedSinceTheStart) {
  WorkerPool pool({.workers = 0}, checkable(10));
  EpochMeter meter;
  meter.start(pool);
  meter.add(100, 1, 1);
  meter.start(pool);
  for (int i = 1; i <= 101; ++i) meter.add(i, 10, 370);
  const EpochStats stats = meter.stats(pool);
  EXPECT_EQ(stats.samples, 1010u);
  EXPECT_EQ(stats.bytes, 37'370u);
  EXPECT_EQ(stats.waited_seconds, 5151);
  EXPECT_EQ(stats.wait_p50, 51);
  EXPECT_EQ(stats.wait_p99, 100);
}

TEST(EpochMeter, ALoaderKeepsOne) {
  WorkerPool pool({.workers = 2, .batch_size = 8}, checkable(100, 0, nullptr, /*varying=*/false));
  DataLoader loader(pool, Split::train);
  loader.start_epoch(0);
  rest_of_epoch(loader);
  const EpochStats stats = loader.stats();
  EXPECT_EQ(stats.samples, 100u);
  EXPECT_EQ(stats.bytes, 4'500u);
  EXPECT_GT(stats.waited_seconds, 0);
  EXPECT_LE(stats.waited_seconds, stats.seconds);
  EXPECT_GT(stats.busy_share, 0);
}

TEST(LoadingLines, SayWhatHappenedAndNothingWhereNothingDid) {
  EXPECT_EQ(loading_line({}, {}), "");
  EXPECT_EQ(faults_line({}), "");
  EXPECT_EQ(
      loading_line({.wait_p50 = 1e-4, .wait_p99 = 4e-3, .samples = 9, .bytes = 512 << 20, .busy_share = 0.83}, {}),
      "wait p50 0.1 ms, p99 4.0 ms; workers 83 % busy; 512.0 MiB delivered");
  EXPECT_EQ(
      loading_line({.wait_p50 = 1e-5, .wait_p99 = 1e-4, .samples = 9, .bytes = 512 << 20}, {.cache = SampleCache::gpu}),
      "wait p50 0.0 ms, p99 0.1 ms; 512.0 MiB gathered on the GPU");
  EXPECT_EQ(faults_line({.deaths = 1, .hangs = 2, .retries = 3, .skipped = 4, .skipped_samples = 4}),
            "workers: 1 died, 2 hung; samples: 3 tried again, 4 left out");
  EXPECT_EQ(faults_line({.retries = 24, .skipped = 12, .skipped_samples = 4}),
            "workers: 0 died, 0 hung; samples: 24 tried again, 4 left out, 12 times in all");
}

TEST(LoadingAdvice, NamesWhatToTurn) {
  EpochStats stats{.seconds = 100, .waited_seconds = 40, .batches = 900, .busy_share = 0.95};
  EXPECT_THAT(loading_advice(stats, {.workers = 2}, 8), HasSubstr("raise loader.workers (now 2, there are 8 cores)"));
  EXPECT_THAT(loading_advice(stats, {.workers = 8}, 8), HasSubstr("cheaper to read"));
  EXPECT_THAT(loading_advice(stats, {.workers = 0}, 8), HasSubstr("set loader.workers"));
  EXPECT_EQ(loading_advice(stats, {.cache = SampleCache::gpu}, 8), "") << "no setting of the loader changes it";
  stats.busy_share = 0.3;
  EXPECT_THAT(loading_advice(stats, {.workers = 2}, 8), HasSubstr("raise loader.prefetch (now 4)"));
  stats.waited_seconds = 4;
  EXPECT_EQ(loading_advice(stats, {.workers = 2}, 8), "");
}

TEST(LoadingAdvice, NeedsAnEpochThatIsLongEnough) {
  const EpochStats stats{.seconds = 100, .waited_seconds = 40, .batches = 900, .busy_share = 0.3};
  EpochStats brief = stats;
  brief.seconds = 0.8;
  brief.waited_seconds = 0.4;
  EXPECT_EQ(loading_advice(brief, {.workers = 2}, 8), "");
  EpochStats few = stats;
  few.batches = 12;
  EXPECT_EQ(loading_advice(few, {.workers = 2}, 8), "");
}

}  // namespace
}  // namespace trainyard
