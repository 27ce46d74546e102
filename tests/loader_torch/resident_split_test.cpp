#include "loader_torch/resident_split.h"

#include <gmock/gmock.h>

#include <torch/cuda.h>

#include "loader_torch/device_loader.h"
#include "support/checkable_pool.h"
#include "support/error_of.h"
#include "support/thread_ranks.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::vector<SplitInfo> two_splits() {
  return {{.size = 60'000, .fields = {{.name = "image", .shape = {28, 28, 1}}, label_field(10)}},
          {.size = 10, .fields = {{.name = "image", .dtype = DType::float32, .shape = {2, 2, 3}}, label_field(10)}}};
}

TEST(ResidentSplit, IsCountedAsWhatItTakesOnTheDevice) {
  const std::uint64_t expected = 60'000 * (28 * 28 + 17) + 10 * (2 * 2 * 3 * 4 + 17);
  EXPECT_EQ(resident_bytes(two_splits()), expected);
  EXPECT_NO_THROW(require_room_for(two_splits(), expected));
}

TEST(ResidentSplit, TooLittleRoomIsAnErrorThatSaysWhatIsNeededAndWhatIsFree) {
  EXPECT_THAT(error_of<MachineError>([] { require_room_for(two_splits(), 1'000'000); }),
              AllOf(HasSubstr("needs 48060650 bytes"), HasSubstr("60010 samples"), HasSubstr("1000000 are free"),
                    HasSubstr("loader.cache = none or shm")));
}

TEST(ResidentSplit, SharedByGpusTakesAPartOfEachInWholeBlocks) {
  constexpr std::uint64_t block = 2 << 20;
  const std::uint64_t places = 60'010 * 9;
  const std::uint64_t images = 12 * block;  // of 22.4 blocks on each of two GPUs
  EXPECT_EQ(resident_bytes(two_splits(), 2), images + 3 * block + places) << "labels and val take one block each";
  EXPECT_NO_THROW(require_room_for(two_splits(), images + 3 * block + places, 2));
  EXPECT_THAT(error_of<MachineError>([] { require_room_for(two_splits(), 1'000'000, 2); }),
              AllOf(HasSubstr("bytes of each of 2 GPUs' memory"), HasSubstr("1000000 are free")));
}

TEST(ResidentSplit, CountsOnlyTheSplitsThatTrainingReads) {
  std::vector<SplitInfo> splits = two_splits();
  splits.push_back({.size = 1'000'000, .fields = {{.name = "image", .shape = {28, 28, 1}}}});
  EXPECT_EQ(resident_bytes(splits), resident_bytes(two_splits()));
}

// A rank per GPU, as threads.
TEST(ResidentSplit, SharedByGpusHasTheBatchesThatWorkersDeliver) {
  const int gpus = static_cast<int>(torch::cuda::device_count());
  if (gpus < 2) GTEST_SKIP() << "needs two GPUs";
  const auto damaged = [](std::size_t index) {
    if (index == 3 || index == 40) throw RunError("datasets", "damaged");
  };
  run_thread_ranks(gpus, [&](const HostGroup& group) {
    const at::Device device(at::kCUDA, static_cast<at::DeviceIndex>(group.rank));
    WorkerPool pool({.workers = 0, .batch_size = 8, .on_worker_error = OnWorkerError::skip},
                    checkable(101, 0, damaged, /*varying=*/false));
    const DataLoaderOptions options{.shuffle = true};
    DeviceLoader loaded(pool, Split::train, options, device);
    DeviceLoader kept(pool, Split::train, options, device);
    kept.keep_on_device(group);
    for (const std::uint64_t epoch : {0, 1, 5}) {
      loaded.start_epoch(epoch);
      kept.start_epoch(epoch);
      while (const std::optional<DeviceBatch> expected = loaded.next()) {
        const std::optional<DeviceBatch> batch = kept.next();
        ASSERT_TRUE(batch);
        EXPECT_EQ(kept.sample_indices(*batch), loaded.sample_indices(*expected));
        for (const DeviceField& field : expected->fields) {
          EXPECT_TRUE(at::equal(batch->field(field.name).tensor(), field.tensor())) << field.name;
        }
      }
      EXPECT_FALSE(kept.next());
    }
  });
}

TEST(ResidentSplit, ABatchOfWhichNothingCouldBeReadIsAnError) {
  WorkerPool pool({.workers = 0, .batch_size = 4, .on_worker_error = OnWorkerError::skip},
                  checkable(
                      8, 0,
                      [](std::size_t index) {
                        if (index == 2 || index == 5) throw RunError("datasets", "damaged");
                      },
                      /*varying=*/false));
  ResidentSplit split(pool, Split::train, at::kCPU);
  WorkerPool alone({.workers = 0, .batch_size = 1}, checkable(8, 0, nullptr, /*varying=*/false));
  const DataLoader order(alone, Split::train);
  EXPECT_NO_THROW(split.select(order, {0, 2}));
  EXPECT_NO_THROW(split.select(order, {3, 5}));
  EXPECT_THAT(error_of<RunError>([&] { split.select(order, {0, 3}); }), HasSubstr("no sample of batch 3 of epoch 1"));
}

}  // namespace
}  // namespace trainyard
