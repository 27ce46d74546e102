#include <filesystem>

#include <gmock/gmock.h>

#include "commands/page.h"
#include "commands/topics.h"
#include "support/subprocess.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::UnorderedElementsAreArray;

TEST(Help, HasEachPageOfTheDocumentation) {
  std::vector<std::string> topics;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::path(TRAINYARD_SOURCE_DIR) / "docs")) {
    if (entry.path().extension() != ".md") continue;
    topics.push_back(entry.path().stem());
    EXPECT_EQ(help_page(topics.back()), read_text_file(entry.path(), "test")) << topics.back();
  }
  EXPECT_THAT(help_topics(), UnorderedElementsAreArray(topics));
}

TEST(Help, PrintsAPageAndNamesAllInTheOverview) {
  const Outcome outcome = run_program({TRAINYARD_BINARY, "help", "settings"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.output, help_page("settings"));
  EXPECT_EQ(run_program({TRAINYARD_BINARY, "help", "editor"}, {"COLUMNS=60"}).output,
            fitted_page(help_page("editor"), 60));
  const Outcome overview = run_program({TRAINYARD_BINARY, "help"}, {"COLUMNS=1000"});
  for (const std::string& topic : help_topics()) EXPECT_THAT(overview.output, HasSubstr(topic));
}

TEST(Help, ShowsWhichArgumentsMayBeLeftOut) {
  const auto usage = [](const char* command) {
    const std::string help = run_program({TRAINYARD_BINARY, command, "--help"}, {"COLUMNS=200"}).output;
    return help.substr(0, help.find('\n'));
  };
  EXPECT_THAT(usage("predict"), HasSubstr("trainyard predict checkpoint inputs... [--config FILE ...]"));
  EXPECT_THAT(usage("data"), HasSubstr("trainyard data [checkpoint] [--config FILE ...]"));
}

TEST(Help, NamesTheNearestTopicsFirst) {
  const Outcome outcome = run_program({TRAINYARD_BINARY, "help", "setings\033[2J"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(
      outcome.output,
      AllOf(HasSubstr("[help] there is no topic or command 'setings\\x1b[2J'; known, nearest first: settings, "),
            HasSubstr("train")));
}

}  // namespace
}  // namespace trainyard
