#include "util/output.h"

#include <csignal>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/log.h"
#include "util/system.h"

namespace trainyard {
namespace {

using testing::ExitedWithCode;
using testing::HasSubstr;

// For death tests of gtest, which run in a child process and read back its standard error.
void redirect(int fd, const char* path) {
  const UniqueFd file(open(path, O_RDWR | O_CLOEXEC));
  dup2(file.get(), fd);
}

[[noreturn]] void exit_with_what_output_throws() {
  try {
    write_output("text");
    flush_output();
    _exit(0);
  } catch (const OutputError& error) {
    print_error(error.what());
    _exit(error.closed_pipe() ? 2 : 1);
  }
}

TEST(StandardStreams, ClosedDescriptorsGoToNoOtherFile) {
  EXPECT_EXIT(
      {
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        prepare_standard_streams();
        const UniqueFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
        char byte = 0;
        const bool unreadable = read(STDIN_FILENO, &byte, 1) == -1 && errno == EBADF;
        const bool unwritable = write(STDOUT_FILENO, &byte, 1) == -1 && errno == EBADF;
        _exit(file.get() > STDERR_FILENO && unreadable && unwritable ? 0 : 1);
      },
      ExitedWithCode(0), "");
}

TEST(StandardStreams, OpenOnesAreKept) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EXIT(
      {
        dup2(ends[1], STDOUT_FILENO);
        prepare_standard_streams();
        _exit(write(STDOUT_FILENO, "x", 1) == 1 ? 0 : 1);
      },
      ExitedWithCode(0), "");
  char byte = 0;
  EXPECT_EQ(read(ends[0], &byte, 1), 1);
  close(ends[0]);
  close(ends[1]);
}

TEST(StandardStreams, AFileOverItsLimitIsAnErrorAndNoSignal) {
  EXPECT_EXIT(
      {
        prepare_standard_streams();
        rlimit limit{};
        limit.rlim_cur = limit.rlim_max = 4;
        setrlimit(RLIMIT_FSIZE, &limit);
        const UniqueFd file(open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
        _exit(write(file.get(), "12345678", 8) == 4 && write(file.get(), "5", 1) == -1 && errno == EFBIG ? 0 : 1);
      },
      ExitedWithCode(0), "");
}

TEST(Output, ThatCannotBeWrittenThrowsWithTheCause) {
  EXPECT_EXIT(
      {
        redirect(STDOUT_FILENO, "/dev/full");
        exit_with_what_output_throws();
      },
      ExitedWithCode(1), "\\[output\\] cannot write to standard output: No space left on device\n");
}

TEST(Output, OfAClosedDescriptorThrows) {
  EXPECT_EXIT(
      {
        close(STDOUT_FILENO);
        prepare_standard_streams();
        exit_with_what_output_throws();
      },
      ExitedWithCode(1), "Bad file descriptor");
}

TEST(Output, TellsAClosedPipeFromOtherErrors) {
  EXPECT_EXIT(
      {
        int ends[2];
        if (pipe(ends) != 0) _exit(9);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        prepare_standard_streams();
        exit_with_what_output_throws();
      },
      ExitedWithCode(2), "Broken pipe");
}

TEST(Output, ThatIsNotNeededIsOneWarning) {
  EXPECT_EXIT(
      {
        log_to_stderr();
        redirect(STDOUT_FILENO, "/dev/full");
        continue_without_output();
        for (int line = 0; line < 3; ++line) {
          print("line {}\n", line);
          flush_output();
        }
        print_error("end");
        _exit(0);
      },
      ExitedWithCode(0), "^[^\n]*No space left on device; the command continues without it[^\n]*\nend\n$");
}

TEST(Output, TextForPeopleIsEscapedLineByLine) {
  testing::internal::CaptureStdout();
  print("{}\n  {}\n", "a\x1b[2J", "b\xff");
  flush_output();
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "a\\x1b[2J\n  b\\xff\n");
}

TEST(PrintError, EscapesAndSurvivesALostStandardError) {
  testing::internal::CaptureStderr();
  print_error("[a] b\x1b[31m\nc");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "[a] b\\x1b[31m\nc\n");
  EXPECT_EXIT(
      {
        redirect(STDERR_FILENO, "/dev/full");
        print_error("lost");
        close(STDERR_FILENO);
        print_error("lost, too");
        log_to_stderr();
        log_warning("lost as well");
        _exit(0);
      },
      ExitedWithCode(0), "");
}

TEST(Log, EscapesWhatComesFromOutside) {
  EXPECT_EXIT(
      {
        log_to_stderr();
        log_warning("[loader] {} is left out\n", "\x1b]0;title\a.jpg");
        _exit(0);
      },
      ExitedWithCode(0), "\\[loader\\] .x1b\\]0;title.x07.jpg is left out");
}

}  // namespace
}  // namespace trainyard
