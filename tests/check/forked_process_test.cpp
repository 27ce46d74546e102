#include "check/forked_process.h"

#include <csignal>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "support/processes.h"
#include "util/system.h"

namespace trainyard {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds ample{600'000};

struct Finished {
  std::vector<std::string> lines;
  std::optional<ProcessFailure> failure;
};

Finished finish(ForkedProcess process) {
  Finished finished;
  process.read_lines([&](const std::string& line) {
    finished.lines.push_back(line);
    return line != "words";
  });
  finished.failure = process.end();
  return finished;
}

Finished finish(const std::function<void()>& body) { return finish(ForkedProcess("test", body, ample)); }

TEST(ForkedProcess, PassesOnTheLinesOfBothStandardStreams) {
  const Finished finished = finish([] {
    dprintf(STDOUT_FILENO, "one\ntwo\n");
    dprintf(STDERR_FILENO, "three");
  });
  EXPECT_EQ(finished.lines, (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_FALSE(finished.failure.has_value());
}

TEST(ForkedProcess, PassesOnALineOfAMebibyte) {
  const std::string line(1 << 20, 'x');
  const Finished finished = finish([&] { dprintf(STDOUT_FILENO, "%s\n", line.c_str()); });
  EXPECT_EQ(finished.lines, std::vector<std::string>{line});
}

TEST(ForkedProcess, AnExitCodeIsACrash) {
  const Finished finished = finish([] { _exit(2); });
  ASSERT_TRUE(finished.failure.has_value());
  EXPECT_STREQ(finished.failure->outcome, "crashed");
  EXPECT_EQ(finished.failure->message, "exit code 2");
}

TEST(ForkedProcess, AnExceptionIsACrashInItsWords) {
  const Finished finished = finish([] { throw std::runtime_error("words"); });
  ASSERT_TRUE(finished.failure.has_value());
  EXPECT_STREQ(finished.failure->outcome, "crashed");
  EXPECT_EQ(finished.failure->message, "exit code 1: words");
}

// Those of the loader would keep memory and locks of the run while a process hangs in the driver.
TEST(ForkedProcess, ClosesTheDescriptorsOfItsParent) {
  const UniqueFd file(check_call(open("/dev/null", O_RDONLY), "test", "open", "/dev/null"));
  const int number = file.get();
  EXPECT_EQ(finish([&] { dprintf(STDOUT_FILENO, "%d\n", fcntl(number, F_GETFD)); }).lines.at(0), "-1");
}

TEST(ForkedProcess, LeavesWhatItsParentHasNotYetPrinted) {
  std::printf("printed once\n");  // to a buffer, if standard output is no terminal
  EXPECT_TRUE(finish([] { std::fflush(stdout); }).lines.empty());
}

TEST(ForkedProcess, IsNamed) {
  const Finished finished = finish([] {
    std::ifstream file("/proc/self/comm");
    std::string name;
    std::getline(file, name);
    dprintf(STDOUT_FILENO, "%s\n", name.c_str());
  });
  EXPECT_EQ(finished.lines.at(0), "test");
}

TEST(ForkedProcess, IsKilledWithItsOwner) {
  pid_t pid = 0;
  {
    ForkedProcess process(
        "test",
        [] {
          dprintf(STDOUT_FILENO, "%d\n", getpid());
          close(STDOUT_FILENO);
          close(STDERR_FILENO);
          for (;;) pause();
        },
        ample);
    process.read_lines([&](const std::string& line) {
      pid = std::stoi(line);
      return true;
    });
    EXPECT_FALSE(has_ended(pid));
  }
  EXPECT_TRUE(has_ended(pid));
}

TEST(ForkedProcess, EndsWithItsParent) {
  const Finished finished = finish([] {
    const ForkedProcess child(
        "child",
        [] {
          for (;;) pause();
        },
        ample);
    dprintf(STDOUT_FILENO, "%s", "");
    std::ifstream file("/proc/self/task/" + std::to_string(getpid()) + "/children");
    std::string pid;
    file >> pid;
    dprintf(STDOUT_FILENO, "%s\n", pid.c_str());
    raise(SIGKILL);
  });
  const pid_t pid = std::stoi(finished.lines.at(0));
  EXPECT_TRUE(comes_true([&] { return has_ended(pid); }));
}

}  // namespace
}  // namespace trainyard
