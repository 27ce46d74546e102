#include "check/terminal.h"

#include <array>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "util/system.h"

namespace trainyard {
namespace {

TEST(Terminal, LinesBreakAtBlanksAndLongWordsAreCut) {
  EXPECT_EQ(wrapped("short", 2, 80), "short");
  const std::string a(50, 'a');
  const std::string b(50, 'b');
  EXPECT_EQ(wrapped(fmt::format("{} {}", a, b), 4, 80), fmt::format("{}\n    {}", a, b));
  EXPECT_EQ(wrapped(std::string(90, 'c'), 0, 80), fmt::format("{}\n{}", std::string(80, 'c'), std::string(10, 'c')));
}

TEST(Terminal, ColoursAreForTerminalsThatWantThem) {
  const UniqueFd terminal(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!terminal || isatty(terminal.get()) != 1) GTEST_SKIP() << "no pseudo terminal here";
  setenv("TERM", "xterm", 1);
  unsetenv("NO_COLOR");
  EXPECT_TRUE(wants_colour(terminal.get()));
  setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(wants_colour(terminal.get())) << "empty is not set";
  setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(wants_colour(terminal.get()));
  unsetenv("NO_COLOR");
  setenv("TERM", "dumb", 1);
  EXPECT_FALSE(wants_colour(terminal.get()));
  const UniqueFd file(open("/dev/null", O_WRONLY | O_CLOEXEC));
  EXPECT_FALSE(wants_colour(file.get()));
}

}  // namespace
}  // namespace trainyard
