#include "util/output_file.h"

#include <array>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/error_of.h"
#include "support/temp_dir.h"
#include "util/error.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

TEST(OutputFile, ReplacesARegularFile) {
  const TempDir dir;
  const std::string path = dir.write("page.html", "old");
  write_output_file(path, "new", "test");
  EXPECT_EQ(read_text_file(path, "test"), "new");
}

TEST(OutputFile, FollowsLinksRatherThanReplacingThem) {
  const TempDir dir;
  const std::string file = dir.write("far/page.html", "old");
  const std::string link = dir / "link";
  fs::create_symlink("far/page.html", link);
  write_output_file(link, "new", "test");
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(read_text_file(file, "test"), "new");
  fs::remove(file);
  write_output_file(link, "made", "test");
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(read_text_file(file, "test"), "made") << "the link led to nothing";
}

TEST(OutputFile, WritesIntoADeviceAndLeavesIt) {
  const TempDir dir;
  const std::string link = dir / "null";
  fs::create_symlink("/dev/null", link);
  write_output_file(link, "gone", "test");
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  fs::create_symlink("/dev/full", dir / "full");
  EXPECT_EQ(error_of<RunError>([&] { write_output_file(dir / "full", "x", "test"); }),
            "[test] write (" + dir / "full" + "): No space left on device; make room, or choose another place");
}

TEST(OutputFile, WritesIntoANamedPipe) {
  const TempDir dir;
  const std::string pipe = dir / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const UniqueFd reader(open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  write_output_file(pipe, "through", "test");
  std::string got(16, '\0');
  got.resize(static_cast<std::size_t>(read(reader.get(), got.data(), got.size())));
  EXPECT_EQ(got, "through");
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST(OutputFile, WritesMoreThanAPipeHoldsAtOnce) {
  const TempDir dir;
  const std::string pipe = dir / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const UniqueFd end(open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  fcntl(end.get(), F_SETFL, 0);
  std::size_t got = 0;
  std::thread reader([&] {
    pollfd writer{end.get(), POLLIN, 0};
    poll(&writer, 1, -1);  // until there is a writer, a read would find the end
    std::array<char, 4096> part;
    for (ssize_t count = 0; (count = read(end.get(), part.data(), part.size())) > 0;) {
      got += static_cast<std::size_t>(count);
    }
  });
  write_output_file(pipe, std::string(1'000'000, 'x'), "test");
  reader.join();
  EXPECT_EQ(got, 1'000'000U);
}

TEST(OutputFile, DoesNotWaitForTheReaderOfAPipe) {
  const TempDir dir;
  const std::string pipe = dir / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(error_of<RunError>([&] { write_output_file(pipe, "x", "test"); }),
            "[test] " + pipe + " is a pipe that no program reads; start its reader first, or choose another path");
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST(OutputFile, KnowsBeforeWorkThatItCannotBeWritten) {
  const TempDir dir;
  const auto refusal = [](const std::string& path) {
    return error_of<UsageError>([&] { require_writable(path, "test"); });
  };
  EXPECT_EQ(refusal(dir / "no/page.html"), "[test] cannot write " + dir / "no/page.html" + ": the folder " +
                                               dir / "no" + " is missing or not writable; choose another path");
  EXPECT_EQ(refusal(dir.path()), "[test] " + dir.path() + " is a folder, not a regular file; choose another path");
  fs::create_symlink("no/page.html", dir / "link");
  EXPECT_NE(refusal(dir / "link"), "");
  for (const std::string& path :
       {dir / "page.html", dir.write("old.html", "x"), std::string("/dev/null"), std::string("page.html")}) {
    EXPECT_NO_THROW(require_writable(path, "test")) << path;
  }
}

TEST(OutputFile, RefusesFoldersAndSockets) {
  const TempDir dir;
  EXPECT_EQ(error_of<UsageError>([&] { write_output_file(dir.path(), "x", "test"); }),
            "[test] " + dir.path() + " is a folder, not a regular file; choose another path");
  const UniqueFd bound(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  (dir / "socket").copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  ASSERT_EQ(bind(bound.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(error_of<UsageError>([&] { write_output_file(dir / "socket", "x", "test"); }),
            "[test] " + dir / "socket" + " is a socket, not a regular file; choose another path");
}

TEST(ReplaceableFile, RefusesADevice) {
  EXPECT_EQ(error_of<UsageError>([] { replaceable_file("/dev/null", "test"); }),
            "[test] /dev/null is a device, not a regular file; choose another path");
}

TEST(ReplaceableFile, EndsALoopOfLinks) {
  const TempDir dir;
  fs::create_symlink("b", dir / "a");
  fs::create_symlink("a", dir / "b");
  EXPECT_NE(error_of<RunError>([&] { replaceable_file(dir / "a", "test"); }).find("symbolic links"), std::string::npos);
}

}  // namespace
}  // namespace trainyard
