#include "checkpoint/checkpoint_writer.h"

#include <gmock/gmock.h>

#include "checkpoint/manifest_example.h"
#include "checkpoint/test_folder.h"
#include "util/torch.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

Checkpoint example(std::int64_t step, const at::Tensor& weight) {
  Checkpoint checkpoint;
  checkpoint.manifest = valid_manifest(step);
  checkpoint.model = {{"weight", weight}};
  checkpoint.state = {{"momentum", weight}};
  return checkpoint;
}

std::vector<std::string> steps_in(const fs::path& checkpoints) {
  std::vector<std::string> names;
  for (const fs::path& folder : step_folders(checkpoints)) names.push_back(folder.filename().string());
  return names;
}

TEST(CheckpointWriter, WritesWhatTheTensorsWereWhenItWasCalled) {
  const TestFolder folder;
  const at::Tensor weight = at::zeros({200'000});
  CheckpointWriter writer(folder.path(), {.keep = 100});
  for (std::int64_t step = 1; step <= 20; ++step) {
    weight.fill_(step);
    writer.write(example(step, weight), false);
    weight.fill_(-1);  // training goes on
  }
  writer.finish();
  for (std::int64_t step = 1; step <= 20; ++step) {
    const Checkpoint read = read_checkpoint(folder / step_folder_name(step));
    EXPECT_TRUE(at::equal(read.model[0].second, at::full({200'000}, step, at::kFloat))) << step;
  }
}

TEST(CheckpointWriter, KeepsTheLastAndTheBest) {
  const TestFolder folder;
  CheckpointWriter writer(folder.path(), {.keep = 2});
  for (std::int64_t step = 1; step <= 6; ++step) writer.write(example(step, at::zeros({2})), step == 3);
  writer.finish();
  EXPECT_THAT(steps_in(folder.path()), testing::ElementsAre("step-00000003", "step-00000005", "step-00000006"));
  EXPECT_EQ(fs::read_symlink(folder / "best"), "step-00000003");
  EXPECT_EQ(fs::read_symlink(folder / "last"), "step-00000006");
}

TEST(CheckpointWriter, KeepsNoBestWhenNotAskedTo) {
  const TestFolder folder;
  CheckpointWriter writer(folder.path(), {.keep = 1, .keep_best = false});
  for (std::int64_t step = 1; step <= 3; ++step) writer.write(example(step, at::zeros({2})), step == 1);
  writer.finish();
  EXPECT_THAT(steps_in(folder.path()), testing::ElementsAre("step-00000003"));
  EXPECT_FALSE(fs::exists(folder / "best"));
}

TEST(CheckpointWriter, AFailureKeepsTheOneBeforeAndIsForgottenOnceTheNextGoesWell) {
  const TestFolder folder;
  CheckpointWriter writer(folder.path(), {});
  writer.write(example(1, at::zeros({2})), false);
  writer.write(example(2, at::zeros({2}, at::kComplexDouble)), false);  // the format lacks the type
  EXPECT_THAT(message_of<RunError>([&] { writer.finish(); }),
              testing::AllOf(testing::HasSubstr("step 2 could not be saved"),
                             testing::HasSubstr("the checkpoint before is whole"), testing::HasSubstr("to resume"),
                             testing::Not(testing::HasSubstr("make room"))));
  EXPECT_EQ(fs::read_symlink(folder / "last"), "step-00000001");
  writer.write(example(3, at::zeros({2})), false);
  writer.finish();
  EXPECT_EQ(fs::read_symlink(folder / "last"), "step-00000003");
}

}  // namespace
}  // namespace trainyard
