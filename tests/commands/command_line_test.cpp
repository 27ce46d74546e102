#include "commands/command_line.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

std::string refusal_of(const char* flag) {
  const char* const words[] = {"trainyard", "train", flag, "3"};
  return error_of<UsageError>([&] { parse_command_line(4, words); });
}

TEST(CommandLine, FlagWithoutItsSectionGetsTheWholeFlag) {
  EXPECT_THAT(refusal_of("--epochs"), HasSubstr("did you mean '--train.epochs'?"));
  EXPECT_THAT(refusal_of("--lr"), HasSubstr("did you mean '--optimizer.lr'?"));
  EXPECT_THAT(refusal_of("--device"), HasSubstr("did you mean '--train.device'?"));
  EXPECT_THAT(refusal_of("--seed"), HasSubstr("did you mean '--train.seed'?"));
  EXPECT_THAT(refusal_of("--dry_run"), HasSubstr("did you mean '--train.dry_run'?"));
}

TEST(CommandLine, WordsAfterTwoDashesAreNoFlags) {
  const auto parse = [](const std::vector<const char*>& words) {
    parse_command_line(static_cast<int>(words.size()), words.data());
  };
  parse({"trainyard", "report", "--", "--first", "-s"});
  EXPECT_THAT(error_of<UsageError>([&] { parse({"trainyard", "report", "--first"}); }),
              HasSubstr("Put words that begin with a dash but are not flags after --."));
  EXPECT_THAT(error_of<UsageError>([&] { parse({"trainyard", "train", "--", "--x"}); }), HasSubstr("'--x'"));
}

TEST(CommandLine, SettingsThatTheCommandDoesNotUseAreRefused) {
  const std::vector<std::vector<const char*>> commands = {{"trainyard", "average", "runs/a"},
                                                          {"trainyard", "completion", "bash"},
                                                          {"trainyard", "list"},
                                                          {"trainyard", "report", "runs/a", "--loader.workers", "1"},
                                                          {"trainyard", "data", "--data.name", "cifar10"},
                                                          {"trainyard", "pack", "packed"}};
  for (std::vector<const char*> words : commands) {
    const std::string expected =
        fmt::format("[trainyard] {} makes no use of the setting optimizer.lr; leave it out", words[1]);
    words.insert(words.end(), {"--optimizer.lr", "1"});
    EXPECT_THAT(error_of<UsageError>([&] { parse_command_line(static_cast<int>(words.size()), words.data()); }),
                HasSubstr(expected));
  }
}

TEST(CommandLine, MisspeltFlagGetsTheNearestOne) {
  EXPECT_THAT(refusal_of("--hepl"), HasSubstr("did you mean '--help'?"));
  EXPECT_THAT(refusal_of("--train.epoch"), HasSubstr("did you mean '--train.epochs'?"));
}

}  // namespace
}  // namespace trainyard
