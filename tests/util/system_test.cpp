#include "util/system.h"

#include <cerrno>
#include <fstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/error_of.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

TEST(OpenRegularFile, RefusesEverythingElseByKindWithoutWaiting) {
  const TempDir dir;
  const std::string pipe = dir.path() + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(error_of<RunError>([&] { open_regular_file(pipe, "test"); }),
            "[test] " + pipe + " is a named pipe, not a regular file");
  EXPECT_EQ(error_of<RunError>([&] { open_regular_file(dir.path(), "test"); }),
            "[test] " + dir.path() + " is a folder, not a regular file");
  EXPECT_EQ(error_of<RunError>([] { open_regular_file("/dev/zero", "test"); }),
            "[test] /dev/zero is a device, not a regular file");
  EXPECT_EQ(error_of<RunError>([] { open_regular_file("/no/such/file", "test"); }),
            "[test] open (/no/such/file): No such file or directory; check the path");
}

TEST(OpenRegularFile, RefusesAPipeToWriteToWithoutWaiting) {
  const TempDir dir;
  const std::string pipe = dir.path() + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const auto refusal = [&] {
    return error_of<RunError>([&] { open_regular_file(pipe, "test", O_WRONLY | O_APPEND | O_CREAT); });
  };
  EXPECT_EQ(refusal(), "[test] " + pipe + " is a named pipe, not a regular file");
  const UniqueFd reader(open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  EXPECT_EQ(refusal(), "[test] " + pipe + " is a named pipe, not a regular file");
}

TEST(CheckCall, SaysHowToRaiseTheLimitOnOpenFiles) {
  errno = EMFILE;
  EXPECT_EQ(error_of<RunError>([] { check_call(-1, "test", "pipe2", "a child"); }),
            "[test] pipe2 (a child): Too many open files; see `ulimit -n`");
}

TEST(ReadTextFile, IsBounded) {
  const TempDir dir;
  const std::string path = dir.path() + "/text";
  std::ofstream(path) << "12345678";
  EXPECT_EQ(read_text_file(path, "test", 8), "12345678");
  EXPECT_EQ(error_of<RunError>([&] { read_text_file(path, "test", 7); }),
            "[test] " + path + " has 8 bytes; at most 7 are read");
}

}  // namespace
}  // namespace trainyard
