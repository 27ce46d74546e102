#include "util/text_input.h"

#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/error_of.h"
#include "support/temp_dir.h"
#include "util/error.h"
#include "util/system.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

TEST(TextInput, ReadsAFile) {
  const TempDir dir;
  EXPECT_EQ(read_text_input(dir.write("facts", "text"), "test", 4), "text");
  EXPECT_THAT(error_of<RunError>([&] { read_text_input(dir / "facts", "test", 3); }), HasSubstr("at most 3"));
}

TEST(TextInput, ReadsThePipeOfAProcessSubstitution) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread writer([&] {
    for (const char* part : {"first ", "second"}) {
      usleep(20'000);
      write_all(ends[1], std::as_bytes(std::span(std::string_view(part))), "test", "pipe");
    }
    close(ends[1]);
  });
  EXPECT_EQ(read_text_input("/dev/fd/" + std::to_string(ends[0]), "test", 100), "first second");
  writer.join();
  close(ends[0]);
}

TEST(TextInput, BoundsAPipe) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  write_all(ends[1], std::as_bytes(std::span(std::string_view("12345"))), "test", "pipe");
  EXPECT_THAT(error_of<RunError>([&] { read_text_input("/dev/fd/" + std::to_string(ends[0]), "test", 4); }),
              HasSubstr("has more than the 4 bytes that are read"));
  close(ends[1]);
  close(ends[0]);
}

TEST(TextInput, DoesNotWaitForAWriterThatNeverComes) {
  const TempDir dir;
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(read_text_input(dir / "pipe", "test", 100), "");
}

TEST(TextInput, RefusesDevicesAndFolders) {
  EXPECT_EQ(error_of<RunError>([] { read_text_input("/dev/zero", "test", 100); }),
            "[test] /dev/zero is a device, not a regular file");
  EXPECT_THAT(error_of<RunError>([] { read_text_input("/tmp", "test", 100); }), HasSubstr("is a folder"));
}

TEST(TextInput, ReadsStandardInput) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const UniqueFd before(dup(STDIN_FILENO));
  dup2(ends[0], STDIN_FILENO);
  write_all(ends[1], std::as_bytes(std::span(std::string_view("piped"))), "test", "pipe");
  close(ends[1]);
  EXPECT_EQ(read_text_input("-", "test", 100), "piped");
  dup2(before.get(), STDIN_FILENO);
  close(ends[0]);
}

}  // namespace
}  // namespace trainyard
