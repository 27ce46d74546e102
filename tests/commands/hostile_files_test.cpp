// Named pipes, devices, folders and files of other formats in places where the program reads checkpoints and weights.

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "commands/small_run.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class HostileFiles : public SmallRun {
 protected:
  // Returns a copy of the run's last checkpoint in which file `name` is replaced.
  std::string checkpoint_with(const std::string& name, const std::string& kind) const {
    const fs::path checkpoint =
        fs::path(case_.path()) / kind / name / fs::read_symlink(fs::path(run()) / "checkpoints/last");
    fs::create_directories(checkpoint.parent_path());
    fs::copy(fs::path(run()) / "checkpoints/last", checkpoint, fs::copy_options::recursive);
    fs::remove(checkpoint / name);
    make(kind, checkpoint / name);
    return checkpoint;
  }

  static void make(const std::string& kind, const fs::path& path) {
    if (kind == "a named pipe") check_call(mkfifo(path.c_str(), 0600), "test", "mkfifo", path.string());
    if (kind == "a folder") fs::create_directory(path);
    if (kind == "a device") fs::create_symlink("/dev/zero", path);
  }

  // Ends with code 124 if the program blocks.
  static Outcome program(std::vector<std::string> words) {
    words.insert(words.begin(), {"timeout", "600", TRAINYARD_BINARY});
    return run_program(words);
  }

  TempDir case_;
};

const std::vector<std::string> kinds = {"a named pipe", "a folder", "a device"};

TEST_F(HostileFiles, EvalRefusesWhatIsNoRegularFile) {
  for (const std::string& kind : kinds) {
    for (const char* name : {"manifest.json", "model.safetensors"}) {
      const Outcome outcome = program({"eval", checkpoint_with(name, kind)});
      EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
      EXPECT_THAT(outcome.output, AllOf(HasSubstr(name), HasSubstr("is " + kind + ", not a regular file")));
    }
  }
}

TEST_F(HostileFiles, PredictRefusesWhatIsNoRegularFile) {
  const std::string image = case_.write("a.png", "");
  for (const std::string& kind : kinds) {
    const Outcome outcome = program({"predict", checkpoint_with("model.safetensors", kind), image});
    EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("is " + kind + ", not a regular file"));
  }
}

TEST_F(HostileFiles, ResumeRefusesWhatIsNoRegularFile) {
  for (const std::string& kind : kinds) {
    for (const char* name : {"manifest.json", "state.safetensors"}) {
      const Outcome outcome = train("resumed", {"--run.resume", checkpoint_with(name, kind)}, "3");
      EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
      EXPECT_THAT(outcome.output, AllOf(HasSubstr(name), HasSubstr("is " + kind + ", not a regular file")));
    }
  }
}

TEST_F(HostileFiles, WeightsThatAreNoRegularFileAreAUsageError) {
  for (const std::string& kind : kinds) {
    const std::string path = case_ / ("weights " + kind);
    make(kind, path);
    const Outcome outcome = train("b", {"--model.weights", path});
    EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("[model.weights] " + path + " is " + kind + ", not a regular file"));
  }
}

TEST_F(HostileFiles, WeightsOfAnotherFormatAreRecognised) {
  const std::string path = case_.write("w.pth", std::string("\x80\x02}q\0.", 6));
  const Outcome outcome = train("b", {"--model.weights", path});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr(path + " is a pickle"), HasSubstr("safetensors.torch.save_file(weights")));
}

TEST_F(HostileFiles, LfsPointersInACheckpointAreRecognised) {
  const std::string checkpoint = checkpoint_with("model.safetensors", "nothing");
  std::ofstream(fs::path(checkpoint) / "model.safetensors")
      << "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n";
  const Outcome outcome = program({"eval", checkpoint});
  EXPECT_EQ(outcome.exit_code, 1) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("git lfs pull"));
}

}  // namespace
}  // namespace trainyard
