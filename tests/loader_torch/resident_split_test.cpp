#include "loader_torch/resident_split.h"

#include <gmock/gmock.h>

#include "support/checkable_pool.h"
#include "support/error_of.h"
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
  EXPECT_NO_THROW(split.start_epoch(order, 0, 0, 2));
  EXPECT_NO_THROW(split.start_epoch(order, 0, 3, 5));
  EXPECT_THAT(error_of<RunError>([&] { split.start_epoch(order, 0, 0, 3); }),
              HasSubstr("no sample of batch 3 of epoch 1"));
}

}  // namespace
}  // namespace trainyard
