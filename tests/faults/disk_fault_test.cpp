// What a user sees if the disk fails during a run.

#include <filesystem>

#include <gmock/gmock.h>

#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Outcome train_on(const TempDir& dir, const std::string& fault) {
  return run_program(
      tiny_training(dir / "runs", "a", "6"),
      {"LD_PRELOAD=" TRAINYARD_FAULTY_DISK, "TRAINYARD_FAULT=" + fault,
       "TRAINYARD_FAULT_ROOT=" + std::filesystem::canonical(dir.path()).string() + "/runs/a/checkpoints"});
}

TEST(DiskFault, AFullDiskIsReportedTheRunGoesOnAndTheNextCheckpointCounts) {
  const TempDir dir;
  const Outcome outcome = train_on(dir, "enospc:100");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("No space left on device"), HasSubstr("is not saved"),
                                    HasSubstr("the checkpoint before is whole"), HasSubstr("epoch 6/6")));
  EXPECT_TRUE(std::filesystem::exists(dir / "runs/a/checkpoints/last/manifest.json"));
}

TEST(DiskFault, AnFsyncThatFailsMakesNoCheckpoint) {
  const TempDir dir;
  const Outcome outcome = train_on(dir, "eio:100");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("Input/output error"), HasSubstr("is not saved")));
}

}  // namespace
}  // namespace trainyard
