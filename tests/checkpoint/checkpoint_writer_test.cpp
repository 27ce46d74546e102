#include "checkpoint/checkpoint_writer.h"

#include <thread>

#include <gmock/gmock.h>

#include "checkpoint/manifest_example.h"
#include "checkpoint/test_folder.h"
#include "support/refuse_calls.h"
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
    weight.fill_(-1);  // training continues
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

TEST(CheckpointWriter, FailureKeepsThePreviousCheckpointAndIsClearedBySuccess) {
  const TestFolder folder;
  CheckpointWriter writer(folder.path(), {});
  writer.write(example(1, at::zeros({2})), false);
  writer.write(example(2, at::zeros({2}, at::kComplexDouble)), false);  // a type that the format does not have
  EXPECT_THAT(message_of<RunError>([&] { writer.finish(); }),
              testing::AllOf(testing::HasSubstr("step 2 could not be saved"),
                             testing::HasSubstr("the checkpoint before is whole"), testing::HasSubstr("to resume"),
                             testing::Not(testing::HasSubstr("make room"))));
  EXPECT_EQ(fs::read_symlink(folder / "last"), "step-00000001");
  writer.write(example(3, at::zeros({2})), false);
  writer.finish();
  EXPECT_EQ(fs::read_symlink(folder / "last"), "step-00000003");
}

TEST(CheckpointWriter, HasSavedEvenIfOlderOnesCannotBeRemoved) {
  const TestFolder folder;
  testing::internal::CaptureStdout();
  std::thread([&] {
    refuse_calls({SYS_unlinkat}, EPERM);  // as remove_all() calls it
    CheckpointWriter writer(folder.path(), {.keep = 1});
    for (const std::int64_t step : {1, 2}) writer.write(example(step, at::zeros({2})), false);
    writer.finish();
  }).join();
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              testing::HasSubstr("step 2 is saved, but older checkpoints stay there"));
  EXPECT_EQ(fs::read_symlink(folder / "last"), "step-00000002");
}

TEST(CheckpointWriter, SaysThatBestStaysWhenABetterOneIsNotSaved) {
  const TestFolder folder;
  const at::Tensor weight = at::zeros({2});
  const at::Tensor refused = at::zeros({2}, at::kComplexDouble);
  CheckpointWriter writer(folder.path(), {});
  testing::internal::CaptureStdout();
  writer.write(example(1, refused), true);
  writer.write(example(2, weight), true);
  writer.write(example(3, refused), true);
  writer.write(example(4, refused), false);
  writer.write(example(5, weight), false);
  writer.finish();
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_THAT(said, testing::ContainsRegex("step 1 is not saved.*there is no `best` yet"));
  EXPECT_THAT(said, testing::ContainsRegex("step 3 is not saved.*`best` stays step-00000002, which is worse"));
  EXPECT_THAT(said, testing::Not(testing::ContainsRegex("step 4 is not saved.*`best`")));
}

TEST(CheckpointWriter, SavesWithoutAThreadIfTheSystemRefusesOne) {
  const TestFolder folder;
  std::thread([&] {
    const std::string refused = R"(\[checkpoint\] no thread to save on: Resource temporarily unavailable)";
    CheckpointWriter writer(folder.path(), {.keep = 2});
    refuse_threads_and_forks(EAGAIN);
    testing::internal::CaptureStdout();
    for (const std::int64_t step : {1, 2}) writer.write(example(step, at::zeros({2})), false);
    writer.finish();
    EXPECT_THAT(testing::internal::GetCapturedStdout(),
                testing::AllOf(testing::ContainsRegex(refused),
                               testing::Not(testing::ContainsRegex(refused + ".*\n.*" + refused))));
  }).join();
  EXPECT_EQ(fs::read_symlink(folder / "last"), "step-00000002");
}

}  // namespace
}  // namespace trainyard
