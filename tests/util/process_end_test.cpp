#include "util/process_end.h"

#include <csignal>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace trainyard {
namespace {

// Returns waitpid's status of a child that calls `end`.
int status_after(void (*end)()) {
  const pid_t pid = check_call(fork(), "test", "fork", "a child");
  if (pid == 0) {
    end();
    _exit(0);
  }
  int status = 0;
  check_call(waitpid(pid, &status, 0), "test", "waitpid", "a child");
  return status;
}

TEST(ProcessEnds, NameTheExitCode) {
  EXPECT_EQ(ProcessEnds().describe(status_after([] { _exit(3); }), "use less"), "exited with code 3");
}

TEST(ProcessEnds, NameTheSignal) {
  EXPECT_EQ(ProcessEnds().describe(status_after([] { raise(SIGTERM); }), "use less"),
            "was killed by signal 15 (Terminated)");
}

// The kernel's counter of out-of-memory kills has not changed.
TEST(ProcessEnds, DoNotReportOutOfMemoryForAnUnrelatedKill) {
  EXPECT_EQ(ProcessEnds().describe(status_after([] { raise(SIGKILL); }), "use less"),
            "was killed by signal 9 (Killed)");
}

}  // namespace
}  // namespace trainyard
