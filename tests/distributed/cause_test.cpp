#include "distributed/cause.h"

#include <csignal>

#include <gtest/gtest.h>

namespace trainyard {
namespace {

RankReport failed(int rank, const char* message, bool secondary = false, int restarts = 0) {
  return {.kind = RankReport::Kind::failed,
          .rank = rank,
          .restarts = restarts,
          .code = static_cast<int>(ExitCode::machine_not_fit),
          .secondary = secondary,
          .message = message};
}

RankReport stopped(int rank) { return {.kind = RankReport::Kind::stopped, .rank = rank, .code = 128 + SIGTERM}; }

struct Case {
  const char* name;
  std::vector<RankReport> reports;
  std::vector<RankFailure> failures;
  const char* expected;  // rank, then the message or the exit code
};

std::string text_of(const std::optional<Cause>& cause) {
  if (!cause) return "none";
  return fmt::format("{} {}", cause->rank, cause->message.empty() ? std::to_string(cause->exit_code) : cause->message);
}

TEST(FirstCause, IsWhatTheOtherRanksFollowed) {
  constexpr bool secondary = true;
  const Case cases[] = {
      {"nothing is known", {}, {}, "none"},
      {"one error", {failed(1, "a")}, {{1, 3}}, "1 a"},
      {"two errors: the earlier", {failed(1, "a"), failed(0, "b")}, {{0, 3}, {1, 3}}, "1 a"},
      {"an error after secondary ones", {failed(0, "lost", secondary), failed(1, "a")}, {{0, 1}, {1, 3}}, "1 a"},
      {"a killed rank before a secondary error", {failed(0, "lost", secondary)}, {{0, 1}, {1, -SIGKILL}}, "1 -9"},
      {"an error before a rank that torchrun killed", {failed(1, "a")}, {{1, 3}, {0, -SIGKILL}}, "1 a"},
      {"a rank that stopped because another was killed", {stopped(0)}, {{1, -SIGSEGV}}, "1 -11"},
      {"two killed ranks: the earlier", {}, {{2, -SIGABRT}, {0, -SIGTERM}}, "2 -6"},
      {"an exit code without a word", {}, {{0, 7}}, "0 7"},
      {"secondary errors alone",
       {failed(1, "lost", secondary), failed(0, "lost", secondary)},
       {{0, 1}, {1, 1}},
       "1 lost"},
      {"an error of an earlier start", {failed(0, "old"), failed(1, "new", false, 1)}, {{1, 3}}, "1 new"},
  };
  for (const Case& each : cases) {
    Outcomes outcomes;
    outcomes.reports = each.reports;
    outcomes.failures = each.failures;
    EXPECT_EQ(text_of(first_cause(outcomes)), each.expected) << each.name;
  }
}

TEST(FirstCause, HasTheExitCodeOfTheRanksError) {
  Outcomes outcomes;
  outcomes.reports = {failed(1, "a")};
  EXPECT_EQ(first_cause(outcomes)->code, ExitCode::machine_not_fit);
  outcomes.reports.clear();
  outcomes.failures = {{1, -SIGKILL}};
  EXPECT_EQ(first_cause(outcomes)->code, ExitCode::run_failed);
}

}  // namespace
}  // namespace trainyard
