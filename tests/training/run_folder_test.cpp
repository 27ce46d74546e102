#include "training/run_folder.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_of.h"
#include "support/temp_dir.h"

namespace trainyard {
namespace {

using ::testing::HasSubstr;

TEST(RunFolder, IsHeldAgainstASecondTrainerUntilTheFirstEnds) {
  const TempDir dir;
  const std::filesystem::path run = dir / "runs/one";
  {
    const UniqueFd held = hold_run_folder(run);
    EXPECT_THAT(error_of<UsageError>([&] { hold_run_folder(run); }),
                HasSubstr("another process is training in " + run.string()));
  }
  EXPECT_TRUE(hold_run_folder(run));
}

TEST(RunFolder, WithoutANameIsTheNextOneWhileAnotherTrainsInTheFirst) {
  const TempDir dir;
  Config config;
  config.data.name = "synthetic";
  config.model.name = "convnet";
  config.run.dir = dir.path();
  {
    const UniqueFd held = hold_run_folder(dir / "synthetic-convnet");
    EXPECT_EQ(choose_run_folder(config).path, dir / "synthetic-convnet-2");
  }
  EXPECT_EQ(choose_run_folder(config).path, dir / "synthetic-convnet");
}

}  // namespace
}  // namespace trainyard
