#include <algorithm>
#include <cstdlib>
#include <sstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "support/subprocess.h"
#include "support/temp_dir.h"

namespace trainyard {
namespace {

nlohmann::json check(std::vector<std::string> words) {
  words.insert(words.begin(), {TRAINYARD_BINARY, "check", "--json"});
  return nlohmann::json::parse(run_program(words).output);
}

// Even if the value given is the setting's default.
TEST(CheckCommand, FactsAreJudgedByTheSettingsThatAreGiven) {
  const TempDir dir;
  const std::string facts = dir.write("facts.json", check({"--train.device", "cpu"}).dump());
  EXPECT_EQ(check({"--facts", facts})["needs"]["device"], "cpu");
  EXPECT_EQ(check({"--facts", facts, "--train.device", "auto"})["needs"]["device"], "auto");
}

TEST(CheckCommand, ShowsOnlyVariablesThatTheUserHasSet) {
  const nlohmann::json shown = check({"--train.device", "cpu"})["facts"]["environment"];
  for (const auto& variable : shown.items()) EXPECT_NE(std::getenv(variable.key().c_str()), nullptr) << variable.key();
}

TEST(CheckCommand, FillsTheWidthOfTheTerminal) {
  const auto longest_line = [](const std::string& columns) {
    std::istringstream lines(
        run_program({TRAINYARD_BINARY, "check", "--verbose", "--train.device", "cpu"}, {"COLUMNS=" + columns}).output);
    std::size_t longest = 0;
    for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
    return longest;
  };
  EXPECT_LE(longest_line("50"), 50U);
  EXPECT_GT(longest_line("120"), 80U);
}

}  // namespace
}  // namespace trainyard
