#include "commands/arguments.h"

#include <CLI/CLI.hpp>
#include <gmock/gmock.h>

#include "support/error_of.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Arguments, NumberOutsideItsRangeIsRefused) {
  for (const std::string text : {"nan", "-nan", "NaN", "inf", "-0.5", "100.5", "x"}) {
    CLI::App app;
    double value = 1;
    Arguments(app).add("--heat", value, "help", {.range = {{0, 100}}});
    EXPECT_THAT(error_of<CLI::ParseError>([&] { app.parse(std::vector<std::string>{"--heat=" + text}); }),
                AllOf(HasSubstr("--heat"), HasSubstr("is '" + text + "'; allowed: a number from 0 to 100")));
    EXPECT_EQ(value, 1);
  }
}

TEST(Arguments, NumberInItsRangeIsTaken) {
  CLI::App app;
  double value = 1;
  Arguments(app).add("--heat", value, "help", {.range = {{0, 100}}});
  app.parse(std::vector<std::string>{"--heat=0.25"});
  EXPECT_EQ(value, 0.25);
}

}  // namespace
}  // namespace trainyard
