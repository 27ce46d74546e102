#include "loader/sample_cache.h"

#include <gmock/gmock.h>
#include <signal.h>

#include "datasets/image_dataset.h"
#include "support/checkable_pool.h"
#include "util/error.h"

namespace trainyard {
namespace {

PoolOptions with_cache(int workers) {
  return {.workers = workers, .batch_size = 8, .on_worker_error = OnWorkerError::retry, .cache = SampleCache::shm};
}

class SampleCacheWith : public testing::TestWithParam<int> {};

TEST_P(SampleCacheWith, EverySampleIsReadOnceAndDeliveredUnchangedInEveryEpoch) {
  const SharedCounter reads;
  WorkerPool pool(with_cache(GetParam()), checkable(100, 0, [=](std::size_t) { reads.add_one(); }));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  EXPECT_EQ(error_of(loader, 4), std::nullopt);  // checks every byte and label
  EXPECT_EQ(reads.get(), 100);
}

TEST_P(SampleCacheWith, ASampleThatFailedOnceIsNotRemembered) {
  const SharedCounter failures;
  WorkerPool pool(with_cache(GetParam()), checkable(100, 0, [=](std::size_t index) {
                    if (index == 43 && failures.add_one() == 0) throw RunError("datasets", "not now");
                  }));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  EXPECT_EQ(error_of(loader, 2), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(Workers, SampleCacheWith, testing::Values(0, 1, 3),
                         [](const auto& with) { return std::to_string(with.param); });

TEST(SampleCache, SurvivesWorkersThatDie) {
  const SharedCounter reads;
  WorkerPool pool(with_cache(3), checkable(200, 0, [=](std::size_t) {
                    if (reads.add_one() % 50 == 49) raise(SIGKILL);
                  }));
  DataLoader loader(pool, Split::train, {.shuffle = true});
  EXPECT_EQ(error_of(loader, 4), std::nullopt);
  EXPECT_GT(pool.faults().deaths, 0u);
}

TEST(SampleCache, RefusesPicturesThatMayDifferInSize) {
  class Pictures final : public ImageDataset {
   public:
    StoredImage read(std::size_t, Scratch&) const override { return {}; }
    std::string name(std::size_t) const override { return ""; }
    std::size_t size() const override { return 1; }
    const SampleSpec& spec() const override { return spec_; }
    const std::vector<std::string>& class_names() const override { return names_; }
    std::uint64_t fingerprint() const override { return 0; }
    std::vector<float> channel_mean() const override { return {0}; }
    std::vector<float> channel_std() const override { return {1}; }

   private:
    SampleSpec spec_{{1, 1, 1}, DType::uint8};
    std::vector<std::string> names_ = {"a"};
  };
  EXPECT_THROW(cached_in_shared_memory(std::make_unique<Pictures>(), "/dev/shm"), UsageError);
}

TEST(SampleCache, TooLittleRoomIsAnErrorBeforeAnythingIsRead) {
  try {
    cached_in_shared_memory(std::make_unique<CheckableDataset>(std::size_t{1} << 40, nullptr), "/dev/shm");
    FAIL();
  } catch (const MachineError& e) {
    EXPECT_THAT(e.what(), testing::AllOf(testing::HasSubstr("loader.cache = shm needs 49478023249920 for"),
                                         testing::HasSubstr("--ipc=host")));
  }
}

}  // namespace
}  // namespace trainyard
