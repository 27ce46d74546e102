// Runs on file systems without symbolic links, locks, fsync of folders, free space or large files.

#include <filesystem>

#include <gmock/gmock.h>

#include "checkpoint/checkpoint_folder.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::size_t count_of(const std::string& words, const std::string& text) {
  std::size_t count = 0;
  for (std::size_t at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++count;
  return count;
}

class FileSystem : public testing::Test {
 protected:
  std::vector<std::string> command(const std::string& epochs, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> flags = {"--checkpoint.keep", "1", "--schedule.name", "constant"};
    flags.insert(flags.end(), more.begin(), more.end());
    return tiny_training(runs(), "a", epochs, flags);
  }
  std::vector<std::string> refusing(const std::string& what) const {
    return {"LD_PRELOAD=" TRAINYARD_FAULTY_DISK, "TRAINYARD_REFUSE=" + what,
            "TRAINYARD_FAULT_ROOT=" + fs::canonical(dir_.path()).string() + "/"};
  }
  std::string runs() const { return dir_ / "runs"; }
  std::string run() const { return dir_ / "runs/a"; }
  bool is_empty() const { return fs::is_empty(dir_.path()); }

  TempDir dir_;
};

TEST_F(FileSystem, WithoutLinksLocksAndFolderFsyncTrainsAndResumes) {
  const std::vector<std::string> refused = refusing("symlink fsync_folder flock renameat2 fallocate");
  const Outcome first = run_program(command("3"), refused);
  ASSERT_EQ(first.exit_code, 0) << first.output;
  EXPECT_EQ(count_of("become text files that name the step's folder", first.output), 1u) << first.output;
  EXPECT_EQ(count_of("flushes no folders (Invalid argument)", first.output), 1u) << first.output;
  EXPECT_EQ(count_of("refuses locks (No locks available)", first.output), 1u) << first.output;
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(run() + "/checkpoints/last")));
  EXPECT_EQ(read_text_file(run() + "/checkpoints/last", "test"), "step-00000012\n");
  EXPECT_TRUE(fs::exists(run() + "/report.html"));
  EXPECT_LE(step_folders(run() + "/checkpoints").size(), 2u) << "keep = 1, and the best";

  const Outcome resumed = run_program(command("5"), refused);
  ASSERT_EQ(resumed.exit_code, 0) << resumed.output;
  EXPECT_THAT(resumed.output, HasSubstr("resuming from step-00000012"));
  EXPECT_LE(step_folders(run() + "/checkpoints").size(), 2u);
  for (const char* name : {"", "/checkpoints", "/checkpoints/last", "/checkpoints/best"}) {
    const Outcome evaluated = run_program({TRAINYARD_BINARY, "eval", run() + name, "--train.device", "cpu"});
    EXPECT_EQ(evaluated.exit_code, 0) << name << evaluated.output;
  }
  EXPECT_EQ(run_program({TRAINYARD_BINARY, "report", run(), "--train.device", "cpu"}).exit_code, 0);
  const std::string weights = run() + "/checkpoints/best/model.safetensors";
  const Outcome from_weights = run_program(command("1", {"--run.name", "b", "--model.weights", weights}));
  EXPECT_EQ(from_weights.exit_code, 0) << from_weights.output;
}

TEST_F(FileSystem, ALimitOnTheSizeOfFilesIsFoundBeforeTheFirstStep) {
  std::string line = "trap '' XFSZ; ulimit -f 64; exec";
  for (const std::string& word : command("1")) line += " '" + word + "'";
  const Outcome outcome = run_program({"bash", "-c", line});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("could not save its checkpoints"), HasSubstr("File too large"),
                                    HasSubstr("ulimit -f"), Not(HasSubstr("epoch 1/1")), Not(HasSubstr("make room"))));
  EXPECT_TRUE(is_empty()) << "nothing may be left behind";
}

TEST_F(FileSystem, TooLittleSpaceForTheRealSizeIsFoundBeforeTheFirstStep) {
  const Outcome outcome = run_program(
      command("1000000", {"--model.name", "resnet18", "--model.resnet.stem", "small", "--checkpoint.keep", "1000000"}));
  EXPECT_EQ(outcome.exit_code, 3) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("a checkpoint takes "), HasSubstr("are needed"), HasSubstr("are free"),
                                    HasSubstr("lower checkpoint.keep"), Not(HasSubstr("epoch 1/"))));
  EXPECT_TRUE(is_empty());
}

TEST_F(FileSystem, APathTooLongIsFoundBeforeTrainingAndByCheck) {
  std::vector<std::string> words = command("1", {"--run.dir", dir_ / std::string(300, 'x')});
  const Outcome trained = run_program(words);
  EXPECT_EQ(trained.exit_code, 1) << trained.output;
  EXPECT_THAT(trained.output, HasSubstr("File name too long"));
  words[1] = "check";
  const Outcome checked = run_program(words);
  EXPECT_EQ(checked.exit_code, 3) << checked.output;
  EXPECT_THAT(checked.output, AllOf(HasSubstr("could not save its checkpoints"), HasSubstr("File name too long")));
  EXPECT_TRUE(is_empty());
}

TEST_F(FileSystem, DryRunAndCheckProveSavingAndLeaveNoScratch) {
  std::vector<std::string> words = command("1");
  words[1] = "check";
  const Outcome checked = run_program(words);
  EXPECT_THAT(checked.output, Not(HasSubstr("could not save its checkpoints")));
  EXPECT_TRUE(is_empty());
  words[1] = "train";
  words.emplace_back("--train.dry_run");
  const Outcome outcome = run_program(words);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("checkpoints"), HasSubstr("each, at most 1 at once")));
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(run())) names.push_back(entry.path().filename().string());
  EXPECT_THAT(names, testing::ElementsAre("batch.png"));
}

TEST_F(FileSystem, AQuotaIsNamedAndTheRunEndsWithTheCause) {
  std::vector<std::string> environment = {"LD_PRELOAD=" TRAINYARD_FAULTY_DISK, "TRAINYARD_FAULT=quota:100",
                                          "TRAINYARD_FAULT_ROOT=" + run() + "/checkpoints"};
  const Outcome outcome = run_program(command("6"), environment);
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  const std::string last_line = outcome.output.substr(outcome.output.rfind('\n', outcome.output.size() - 2) + 1);
  EXPECT_THAT(last_line, AllOf(HasSubstr("step 24 could not be saved"), HasSubstr("Disk quota exceeded"),
                               HasSubstr("the checkpoint before is whole"), HasSubstr("quota is used up"),
                               HasSubstr("rerun the same command to resume")));
}

}  // namespace
}  // namespace trainyard
