#include <fstream>
#include <sstream>

#include <gmock/gmock.h>

#include "commands/small_run.h"
#include "config/component.h"
#include "config/config_file.h"
#include "config/settings.h"
#include "datasets/dataset.h"
#include "models/model.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "support/configured.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

Outcome config_of(std::vector<std::string> words) {
  words.insert(words.begin(), {TRAINYARD_BINARY, "config"});
  return run_program(words);
}

TEST(ConfigCommand, PrintsEveryKeyWithHelpRangeAndDefault) {
  const Outcome outcome = config_of({"--loader.workers", "7"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, HasSubstr("# worker processes; 0 loads in the training process (0..256; default 2)\n"
                                        "workers = 7\n"));
  EXPECT_THAT(outcome.output, HasSubstr("\n# [model.vit]  # if model.name = vit_tiny, vit_small\n"));
  Config config;
  for (const Setting& setting : settings_in(config)) {
    if (!setting.flag) continue;
    EXPECT_THAT(outcome.output, HasSubstr((setting.selected ? "\n" : "\n# ") + setting.name() + " = "));
  }
}

TEST(ConfigCommand, PrintsAFileThatReadsBackTheSame) {
  const std::string flags = "--optimizer.name lion --optimizer.lion.beta2 0.5 --data.name synthetic --run.name a";
  std::istringstream stream(flags);
  const std::vector<std::string> words{std::istream_iterator<std::string>(stream), {}};
  const Outcome outcome = config_of(words);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  Config expected = configured(flags);
  expected.run.started_in = "";  // not a flag, so not shown
  EXPECT_THAT(differences(config_from_toml(outcome.output, "test"), expected), IsEmpty());
}

TEST(ConfigCommand, PrintsWhatFilesAndFlagsAddUpTo) {
  const TempDir dir;
  const Outcome outcome = config_of(
      {"--config", dir.write("a.toml", "[optimizer]\nname = 'sgd'\nlr = 0.5\n[optimizer.sgd]\nmomentum = 0.8\n"),
       "--config", dir.write("b.toml", "[optimizer]\nname = 'adamw'\n[train]\nepochs = 3\n"), "--train.seed", "7"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output,
              AllOf(HasSubstr("\nname = \"adamw\"\n"), HasSubstr("\nlr = 0.5\n"), HasSubstr("\nepochs = 3\n"),
                    HasSubstr("\nseed = 7\n"), HasSubstr("a.toml:5:1: optimizer.sgd.momentum is not used")));
}

TEST(ConfigCommand, WarnsOnTheFirstRankOnly) {
  const TempDir dir;
  const std::string file = dir.write("a.toml", "[optimizer.sgd]\nmomentum = 0.8\n");
  for (const int rank : {0, 1}) {
    const Outcome outcome =
        run_program({TRAINYARD_BINARY, "config", "--config", file, "--optimizer.name", "lion"},
                    {"RANK=" + std::to_string(rank), "WORLD_SIZE=2", "MASTER_ADDR=localhost", "MASTER_PORT=29500"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
    EXPECT_EQ(outcome.output.find("is not used") != std::string::npos, rank == 0);
  }
}

TEST(ConfigCommand, DocumentationIsCurrent) {
  std::ifstream file(TRAINYARD_SOURCE_DIR "/docs/settings.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(config_of({"--markdown"}).output, text.str()) << "trainyard config --markdown > docs/settings.md";
}

TEST(ConfigCommand, MarkdownShowsDefaultsOnly) {
  const Outcome outcome = config_of({"--markdown", "--train.epochs", "3"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("train.epochs was given"));
}

class ConfigOfARun : public SmallRun {};

TEST_F(ConfigOfARun, BeginsFromItsConfiguration) {
  const Outcome outcome = config_of({run(), "--loader.prefetch", "9"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("\nsamples = 640\n"), HasSubstr("\nprefetch = 9\n")));
}

// A component's names are those it is registered under.
TEST(Components, AreSelectedByRegisteredNames) {
  const auto expect_registered = [](const std::string& section, const std::vector<std::string>& names) {
    for (const Component* const component : components_of(section)) {
      for (const std::string& name : component->used_by) EXPECT_THAT(names, Contains(name)) << component->prefix();
    }
  };
  expect_registered("model", ModelRegistry::names());
  expect_registered("data", DatasetRegistry::names());
  expect_registered("optimizer", OptimizerRegistry::names());
  expect_registered("schedule", ScheduleRegistry::names());
}

TEST(Components, KeysThatMovedNameTheirSuccessors) {
  const std::vector<std::pair<const char*, const char*>> moved = {
      {"model.stem", "model.resnet.stem"},
      {"model.patch_size", "model.vit.patch_size"},
      {"data.shape", "data.synthetic.shape"},
      {"data.samples", "data.synthetic.samples"},
      {"data.classes", "data.synthetic.classes"},
      {"optimizer.momentum", "optimizer.sgd.momentum"},
      {"optimizer.nesterov", "optimizer.sgd.nesterov"},
      {"optimizer.beta1", "optimizer.adamw.beta1 or optimizer.lion.beta1"},
      {"optimizer.beta2", "optimizer.adamw.beta2 or optimizer.lion.beta2"},
      {"optimizer.eps", "optimizer.adamw.eps"},
      {"schedule.step_epochs", "schedule.step.epochs"},
      {"schedule.gamma", "schedule.step.gamma"},
      {"schedule.pct_start", "schedule.one_cycle.pct_start"},
      {"schedule.div_factor", "schedule.one_cycle.div_factor"},
      {"schedule.final_div_factor", "schedule.one_cycle.final_div_factor"}};
  Config config;
  const std::vector<Setting> settings = settings_in(config);
  for (const auto& [before, now] : moved) {
    EXPECT_TRUE(has_moved(settings, before)) << before;
    EXPECT_EQ(advice_on_unknown_key(settings, before), std::string("it is now ") + now);
  }
}

}  // namespace
}  // namespace trainyard
