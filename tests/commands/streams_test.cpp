// Standard streams that are closed, full or cut off, and what file names can do to a terminal.

#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "commands/small_run.h"
#include "support/image_files.h"
#include "support/refuse_calls.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Runs `command` in a shell in which "trainyard" is the program.
Outcome shell(const std::string& command, const std::vector<std::string>& environment = {}) {
  return run_program({"bash", "-c", "trainyard() { '" TRAINYARD_BINARY "' \"$@\"; }; " + command}, environment);
}

// Runs `command` with a standard output whose reader has ended, and prints its exit code.
Outcome cut_off(const std::string& command) { return shell("exec 3> >(true); wait $!; " + command + " >&3; echo $?"); }

std::string quoted(const std::string& path) { return "'" + path + "'"; }

class Streams : public SmallRun {
 protected:
  static void SetUpTestSuite() {
    SmallRun::SetUpTestSuite();
    dir_->write("image.png", png_file(ramp(16, 16, 3)));
  }

  // Commands whose product is standard output.
  static std::vector<std::string> printing_commands() {
    const std::string image = quoted(*dir_ / "image.png");
    return {"trainyard --help",
            "trainyard --version",
            "trainyard list",
            "trainyard help settings",
            "trainyard completion bash",
            "trainyard check --train.device cpu --loader.workers 0 --data.name synthetic",
            "trainyard check --json --train.device cpu --loader.workers 0 --data.name synthetic",
            "trainyard eval " + quoted(run()),
            "trainyard eval --json " + quoted(run()),
            "trainyard predict " + quoted(run()) + " " + image,
            "trainyard predict --json " + quoted(run()) + " " + image};
  }

  // Commands whose product is files; each may run once per `name`.
  static std::vector<std::string> writing_commands(const std::string& name) {
    const std::string data = " --data.name synthetic --data.synthetic.samples 200 --data.synthetic.shape 8,8,1 ";
    return {"trainyard train --train.device cpu --train.epochs 1 --loader.workers 1 --run.name " + name + data +
                "--run.dir " + quoted(*dir_ / "written"),
            "trainyard report " + quoted(run()) + " -o " + quoted(*dir_ / (name + ".html")),
            "trainyard pack --loader.workers 0 --as raw " + quoted(*dir_ / ("packed-" + name)) + data};
  }
};

TEST_F(Streams, ALostProductFailsTheCommand) {
  for (const std::string& command : printing_commands()) {
    const Outcome full = shell(command + " > /dev/full");
    EXPECT_EQ(full.exit_code, 1) << command;
    EXPECT_EQ(full.output, "[output] cannot write to standard output: No space left on device\n") << command;
    const Outcome closed = shell(command + " >&-");
    EXPECT_EQ(closed.exit_code, 1) << command;
    EXPECT_EQ(closed.output, "[output] cannot write to standard output: Bad file descriptor\n") << command;
  }
}

TEST_F(Streams, AClosedPipeEndsAPrintingCommandQuietly) {
  for (const std::string& command : printing_commands()) {
    EXPECT_EQ(cut_off(command).output, "141\n") << command;
  }
}

TEST_F(Streams, ALostLogIsOneWarningToACommandThatWritesFiles) {
  for (const std::string& command : writing_commands("full")) {
    const Outcome outcome = shell(command + " > /dev/full");
    EXPECT_EQ(outcome.exit_code, 0) << command << outcome.output;
    const std::string warning = "No space left on device; the command continues without it";
    EXPECT_THAT(outcome.output, HasSubstr(warning)) << command;
    EXPECT_EQ(outcome.output.find(warning), outcome.output.rfind(warning)) << command;
  }
  for (const std::string& command : writing_commands("cut")) {
    EXPECT_EQ(cut_off(command).output, "0\n") << command;
  }
  EXPECT_TRUE(fs::exists(*dir_ / "written/cut/report.html")) << "the run came to its end";
}

TEST_F(Streams, ALostStandardErrorChangesNoExitCode) {
  for (const char* redirection : {" 2>&-", " 2> /dev/full", " 2> >(true)"}) {
    EXPECT_EQ(shell(std::string("trainyard list") + redirection).exit_code, 0) << redirection;
    EXPECT_EQ(shell(std::string("trainyard nonsense") + redirection).exit_code, 2) << redirection;
    EXPECT_EQ(shell("trainyard predict " + quoted(run()) + " /nowhere.png" + redirection).exit_code, 1) << redirection;
    EXPECT_EQ(shell("trainyard eval " + quoted(run()) + redirection).exit_code, 0) << redirection;
    EXPECT_EQ(shell("trainyard list > /dev/full" + std::string(redirection)).exit_code, 1) << redirection;
  }
}

TEST_F(Streams, CommandsWorkWithAllStandardStreamsClosed) {
  for (const std::string& command : printing_commands()) {
    const Outcome outcome = shell(command + " <&-");
    EXPECT_EQ(outcome.exit_code, 0) << command << outcome.output;
  }
  for (const std::string& command : writing_commands("closed")) {
    EXPECT_EQ(shell(command + " <&- >&- 2>&-").exit_code, 0) << command;
  }
  EXPECT_TRUE(fs::exists(*dir_ / "written/closed/report.html"));
}

TEST_F(Streams, NamesFromAnUnreadableStandardInputAreAnError) {
  const std::string command = "trainyard predict " + quoted(run()) + " - ";
  for (const auto& [redirection, cause] : {std::pair("<&-", "Bad file descriptor"), {"< /tmp", "Is a directory"}}) {
    const Outcome outcome = shell(command + redirection);
    EXPECT_EQ(outcome.exit_code, 1) << redirection;
    EXPECT_THAT(outcome.output, HasSubstr("read (the names on standard input): " + std::string(cause)));
  }
  const Outcome endless = shell(command + "< <(tr '\\0' 'x' < /dev/zero)");
  EXPECT_EQ(endless.exit_code, 1);
  EXPECT_THAT(endless.output, HasSubstr("is longer than 4096 bytes"));
}

TEST_F(Streams, ReportGoesIntoADeviceAndThroughALink) {
  fs::create_symlink("/dev/null", *dir_ / "device");
  const Outcome outcome = shell("trainyard report " + quoted(run()) + " -o " + quoted(*dir_ / "device"));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_TRUE(fs::is_symlink(*dir_ / "device"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  fs::create_symlink("real.html", *dir_ / "link.html");
  EXPECT_EQ(shell("trainyard report " + quoted(run()) + " -o " + quoted(*dir_ / "link.html")).exit_code, 0);
  EXPECT_TRUE(fs::is_symlink(*dir_ / "link.html"));
  EXPECT_THAT(read_text_file(*dir_ / "real.html", "test"), StartsWith("<!DOCTYPE html>"));
  const Outcome piped = shell("trainyard report " + quoted(run()) + " -o >(head -c 15 >&2); wait $!");
  EXPECT_THAT(piped.output, HasSubstr("<!DOCTYPE html>"));
}

TEST_F(Streams, PackRefusesADevice) {
  fs::create_directory(*dir_ / "to-device");
  fs::create_symlink("/dev/null", *dir_ / "to-device/train.packed");
  const Outcome outcome =
      shell("trainyard pack --data.name synthetic --data.synthetic.samples 200 --as raw --loader.workers 0 " +
            quoted(*dir_ / "to-device"));
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("train.packed is a device, not a regular file"));
}

TEST_F(Streams, FactsComeFromAPipe) {
  const std::string judge = "trainyard check --train.device cpu --facts ";
  const std::string facts = quoted(*dir_ / "facts.json");
  ASSERT_EQ(shell("trainyard check --json --train.device cpu --data.name synthetic > " + facts).exit_code, 0);
  for (const std::string& command :
       {judge + facts, judge + "<(cat " + facts + ")", judge + "- < " + facts, "cat " + facts + " | " + judge + "-",
        "cat " + facts + " | " + judge + "/dev/stdin"}) {
    const Outcome outcome = shell(command);
    EXPECT_EQ(outcome.exit_code, 0) << command << outcome.output;
    EXPECT_THAT(outcome.output, HasSubstr("ready: cpu")) << command;
  }
  EXPECT_THAT(shell(judge + "/dev/zero").output, HasSubstr("/dev/zero is a device"));
  EXPECT_THAT(shell(judge + "<(cat /dev/zero)").output, HasSubstr("has more than the 4194304 bytes"));
  EXPECT_THAT(shell(judge + "/nowhere").output, HasSubstr("[check] open (/nowhere): No such file or directory"));
}

TEST_F(Streams, NamesFromOutsideSteerNoTerminal) {
  const std::string name = *dir_ / "\x1b]0;owned\a\n\xff.png";
  const std::string image = read_text_file(*dir_ / "image.png", "test");
  std::ofstream(name, std::ios::binary) << image;
  const auto has_control = [](const std::string& text) {
    return std::any_of(text.begin(), text.end(), [](unsigned char c) { return (c < 0x20 && c != '\n') || c >= 0x7f; });
  };
  const std::vector<std::vector<std::string>> naming = {
      {"predict", run(), name},   {"predict", run(), name + "-missing"},   {"eval", name}, {"report", name},
      {"check", "--error", name}, {"check", "--facts", name + "-missing"}, {"list", name}};
  std::vector<std::vector<std::string>> all = {{name},
                                               {"--" + name},
                                               {"check", "--facts", name},
                                               {"train", "--run.dir", name, "--data.name", name},
                                               {"train", "--config", name},
                                               {"train", "--train.profile", name}};
  all.insert(all.end(), naming.begin(), naming.end());
  for (const std::vector<std::string>& words : all) {
    std::vector<std::string> command = {TRAINYARD_BINARY};
    command.insert(command.end(), words.begin(), words.end());
    const Outcome outcome = run_program(command, {"LC_ALL=nonsense", "COLUMNS=-1", "TERM="});
    EXPECT_FALSE(has_control(outcome.output)) << words[0] << ": " << outcome.output;
    if (std::find(naming.begin(), naming.end(), words) == naming.end()) continue;
    EXPECT_THAT(outcome.output, HasSubstr("\\x1b]0;owned")) << words[0];
  }
}

TEST_F(Streams, OddSurroundingsAreNoFailure) {
  const std::string image = quoted(*dir_ / "image.png");
  const std::vector<std::string> commands = {
      "trainyard list", "trainyard eval " + quoted(run()), "trainyard predict " + quoted(run()) + " " + image,
      "trainyard check --train.device cpu --loader.workers 0 --data.name synthetic"};
  for (const std::string& command : commands) {
    for (const char* before : {"unset HOME TERM; ", "export COLUMNS=0 TERM=; ", "export COLUMNS=99999999999999999999; ",
                               "export LC_ALL=xx; ", "export LD_LIBRARY_PATH=$(printf 'x%.0s' {1..100000}); ",
                               "trainyard() { (exec -a '' '" TRAINYARD_BINARY "' \"$@\"); }; "}) {
      const Outcome outcome = shell(before + command);
      EXPECT_EQ(outcome.exit_code, 0) << before << command << "\n" << outcome.output;
    }
  }
}

TEST_F(Streams, SharedMemoryThatIsMissingOrReadOnlyIsTheMachinesFault) {
  const std::string train = "trainyard train --data.name synthetic --train.device cpu --loader.workers 1 --run.dir " +
                            quoted(*dir_ / "never");
  if (shell("unshare -m true").exit_code != 0) GTEST_SKIP() << "mount namespaces need root";
  const auto in_namespace = [](const std::string& setup, const std::string& command) {
    return shell("export -f trainyard; unshare -m bash -c \"" + setup + " && " + command + "\"");
  };
  const Outcome read_only = in_namespace("mount -t tmpfs -o ro none /dev/shm", train);
  EXPECT_EQ(read_only.exit_code, 3);
  EXPECT_THAT(read_only.output, AllOf(HasSubstr("/dev/shm cannot be written: Read-only file system"),
                                      HasSubstr("(shared-memory-unwritable)"), Not(HasSubstr("ulimit -n"))));
  const Outcome no_inodes = in_namespace("mount -t tmpfs -o nr_inodes=1 none /dev/shm", train);
  EXPECT_EQ(no_inodes.exit_code, 3);
  EXPECT_THAT(no_inodes.output, HasSubstr("/dev/shm takes no more files"));
  const Outcome missing = in_namespace("mount -t tmpfs none /dev && mknod /dev/null c 1 3", train);
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_THAT(missing.output,
              AllOf(HasSubstr("there is no shared memory at /dev/shm"), HasSubstr("(shared-memory-missing)")));
}

TEST_F(Streams, ADeletedWorkingFolderIsNamed) {
  const std::string gone = *dir_ / "gone";
  const Outcome outcome = run_program(
      {"sh", "-c", fmt::format("mkdir '{0}' && cd '{0}' && rmdir '{0}' && '{1}' list", gone, TRAINYARD_BINARY)});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, testing::StartsWith("[trainyard] the working directory has been deleted"));
}

TEST_F(Streams, ARefusedThreadOrProcessIsNamed) {
  const auto train_refused = [](const std::string& workers) {
    Outcome outcome{};
    std::thread([&] {
      refuse_threads_and_forks(EAGAIN);
      outcome = run_program({TRAINYARD_BINARY, "train", "--data.name", "synthetic", "--data.synthetic.samples", "64",
                             "--train.device", "cpu", "--train.threads", "1", "--train.epochs", "1", "--loader.workers",
                             workers, "--run.dir", *dir_ / "refused"});
    }).join();
    return outcome;
  };
  const Outcome without_process = train_refused("1");
  EXPECT_EQ(without_process.exit_code, 1) << without_process.output;
  EXPECT_THAT(without_process.output, AllOf(HasSubstr("Resource temporarily unavailable"), HasSubstr("ulimit -u")));
  const Outcome without_thread = train_refused("0");
  EXPECT_EQ(without_thread.exit_code, 0) << without_thread.output;
  EXPECT_THAT(without_thread.output, HasSubstr("no thread to save on: Resource temporarily unavailable"));
}

}  // namespace
}  // namespace trainyard
