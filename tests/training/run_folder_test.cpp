#include "training/run_folder.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "checkpoint/checkpoint.h"
#include "checkpoint/manifest_example.h"
#include "config/component.h"
#include "config/config_file.h"
#include "config/settings.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

namespace trainyard {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(RunFolder, IsHeldAgainstASecondTrainerUntilTheFirstEnds) {
  const TempDir dir;
  const std::filesystem::path run = dir / "runs/one";
  {
    const UniqueFd held = lock_run_folder(run);
    EXPECT_THAT(error_of<UsageError>([&] { lock_run_folder(run); }),
                HasSubstr("another process is training in " + run.string()));
  }
  EXPECT_TRUE(lock_run_folder(run));
}

TEST(RunFolder, WithoutANameIsTheNextOneWhileAnotherTrainsInTheFirst) {
  const TempDir dir;
  Config config;
  config.data.name = "synthetic";
  config.model.name = "convnet";
  config.run.dir = dir.path();
  {
    const UniqueFd held = lock_run_folder(dir / "synthetic-convnet");
    EXPECT_EQ(choose_run_folder(config).path, dir / "synthetic-convnet-2");
  }
  EXPECT_EQ(choose_run_folder(config).path, dir / "synthetic-convnet");
}

class RunChoice : public testing::Test {
 protected:
  RunChoice() {
    config_.data.name = "synthetic";
    config_.model.name = "convnet";
    config_.run.dir = dir_.path();
    config_.train.epochs = 5;
  }

  // Creates the folder of a run of `config` that has trained `epoch` epochs.
  void leave_run(const std::string& name, const Config& config, std::int64_t epoch,
                 RunEnd end = RunEnd::running) const {
    Manifest manifest = valid_manifest(0);
    manifest.model = config.model.name;
    manifest.dataset = config.data.name;
    manifest.ended = end;
    leave_run(name, to_toml(config), epoch, manifest);
  }
  void leave_run(const std::string& name, const std::string& config, std::int64_t epoch,
                 const Manifest& manifest = valid_manifest(0)) const {
    Checkpoint checkpoint{.manifest = manifest, .model = {}, .ema = {}, .state = {}};
    checkpoint.manifest.step = checkpoint.manifest.epoch = epoch;
    checkpoint.manifest.config = config;
    make_folders(dir_ / name);
    write_checkpoint(dir_ / (name + "/checkpoints"), checkpoint);
  }

  // Creates the folder of a run without checkpoints, with the metrics of `epochs` epochs.
  void leave_metrics(const std::string& name, int epochs) {
    config_.run.started_in = "/home";
    dir_.write(name + "/config.toml", to_toml(config_));
    std::string metrics = "epoch,step\n";
    for (int epoch = 1; epoch <= epochs; ++epoch) metrics += fmt::format("{},{}\n", epoch, 10 * epoch);
    dir_.write(name + "/metrics.csv", metrics);
  }

  TempDir dir_;
  Config config_;
};

TEST_F(RunChoice, ResumesAnUnfinishedRunBehindNewerOnes) {
  Config other = config_;
  other.optimizer.lr = 0.5;
  leave_run("synthetic-convnet", config_, 2);
  leave_run("synthetic-convnet-2", other, 5, RunEnd::finished);
  leave_run("synthetic-convnet-4", other, 1);
  const RunFolder run = choose_run_folder(config_);
  EXPECT_EQ(run.path, dir_ / "synthetic-convnet");
  EXPECT_EQ(run.checkpoint, dir_ / "synthetic-convnet/checkpoints/step-00000002");
  EXPECT_EQ(choose_run_folder(other).path, dir_ / "synthetic-convnet-4");
  other.run.resume = "never";
  EXPECT_EQ(choose_run_folder(other).path, dir_ / "synthetic-convnet-3");
}

TEST_F(RunChoice, RefusesANamedCheckpointIfItsRunHasANewerOne) {
  leave_run("a", config_, 2);
  leave_run("a", config_, 4);
  config_.run.resume = dir_ / "a/checkpoints/step-00000002";
  EXPECT_THAT(error_of<UsageError>([&] { choose_run_folder(config_); }),
              AllOf(HasSubstr("[run.resume]"),
                    HasSubstr("has gone on to step-00000004: to resume there, --run.resume auto --run.dir ")));
  config_.run.name = "b";
  EXPECT_EQ(choose_run_folder(config_).path, dir_ / "b");
  leave_run("b", config_, 3);
  EXPECT_THAT(error_of<UsageError>([&] { choose_run_folder(config_); }), HasSubstr("has gone on to step-00000003"));
  config_.run.name = "";
  config_.run.resume = dir_ / "a/checkpoints/step-00000004";
  EXPECT_EQ(choose_run_folder(config_).path, dir_ / "a");
}

TEST_F(RunChoice, SaysWhichFlagsResumeARunBegunFromACheckpoint) {
  EXPECT_EQ(how_to_resume(config_, dir_ / "a"), "rerun the same command");
  for (const std::string& resume : {dir_ / "a/checkpoints/step-00000002", std::string("never")}) {
    config_.run.resume = resume;
    EXPECT_EQ(how_to_resume(config_, dir_ / "b"), "rerun the same command with --run.resume auto --run.dir " +
                                                      dir_.path() + " --run.name b in place of its own run.*");
  }
}

TEST_F(RunChoice, QuotesANameInTheFlagsThatResumeIt) {
  config_.run.resume = "never";
  EXPECT_THAT(how_to_resume(config_, "my runs/it's one"),
              HasSubstr(R"(--run.dir 'my runs' --run.name 'it'\''s one' in place)"));
}

TEST_F(RunChoice, ARunThatAnotherProcessTrainsIsRefusedByName) {
  leave_run("a", config_, 2);
  const UniqueFd held = lock_run_folder(dir_ / "a");
  config_.run.name = "a";
  EXPECT_THAT(error_of<UsageError>([&] { choose_run_folder(config_); }), HasSubstr("another process is training"));
  config_.run.resume = dir_ / "a/checkpoints/step-00000002";
  EXPECT_THAT(error_of<UsageError>([&] { choose_run_folder(config_); }), HasSubstr("another process is training"));
}

TEST_F(RunChoice, AFolderWithTheUsersFilesIsLeftAlone) {
  dir_.write("a/metrics.csv", "x");
  dir_.write("b/config.toml", "[model]\nname = \"convnet\"\n");
  dir_.write("synthetic-convnet/report.html", "x");
  EXPECT_EQ(choose_run_folder(config_).path, dir_ / "synthetic-convnet-2");
  for (const std::string resume : {"auto", "never"}) {
    config_.run.resume = resume;
    config_.run.name = "a";
    EXPECT_THAT(error_of<UsageError>([&] { choose_run_folder(config_); }),
                HasSubstr("[run.name] " + dir_ / "a" + " already holds metrics.csv but no checkpoint; choose another"));
    config_.run.name = "b";
    EXPECT_THAT(error_of<UsageError>([&] { choose_run_folder(config_); }), HasSubstr("already holds config.toml"));
  }
  leave_run("c", config_, 2);
  config_.run.resume = dir_ / "c/checkpoints/step-00000002";
  EXPECT_THAT(error_of<UsageError>([&] { choose_run_folder(config_); }), HasSubstr("already holds config.toml"));
}

TEST_F(RunChoice, APipeInAFilesPlaceIsNotRead) {
  for (const char* const name : {"config.toml", "metrics.csv", "metrics.jsonl"}) {
    SCOPED_TRACE(name);
    make_folders(dir_ / name);
    ASSERT_EQ(mkfifo((dir_ / name + "/" + name).c_str(), 0600), 0);
    config_.run.name = name;
    EXPECT_THAT(error_of<UsageError>([&] { choose_run_folder(config_); }),
                HasSubstr(std::string("already holds ") + name));
  }
}

TEST_F(RunChoice, ARunKilledBeforeItsFirstCheckpointStartsAgain) {
  dir_.write("b/notes.txt", "hypothesis");
  for (const char* const name : {"a", "synthetic-convnet"}) {
    leave_metrics(name, 1);
    make_folders(dir_ / name + "/checkpoints/.tmp-step-00000001");
  }
  for (const char* const name : {"a", "b"}) {
    config_.run.name = name;
    EXPECT_EQ(choose_run_folder(config_).path, dir_ / name);
    EXPECT_THAT(choose_run_folder(config_).notes.size(), name == std::string("a") ? 1 : 0);
  }
  config_.run.name = "";
  EXPECT_EQ(choose_run_folder(config_).path, dir_ / "synthetic-convnet");
  EXPECT_THAT(choose_run_folder(config_).notes, ElementsAre(HasSubstr("ended before its first checkpoint was saved")));
}

TEST_F(RunChoice, ARunThatHadNothingToSaveYetStartsAgain) {
  for (const int every_steps : {0, 20}) {
    SCOPED_TRACE(every_steps);
    config_.checkpoint.every_steps = every_steps;
    const std::string steps = every_steps == 0 ? "{\"epoch\":1,\"step\":50}\n" : "";
    for (const std::string name : {"no_folder", "empty_folder", "synthetic-convnet"}) {
      leave_metrics(name, 0);
      dir_.write(name + "/metrics.jsonl", steps);
      if (name != "no_folder") make_folders(dir_ / name + "/checkpoints");
      config_.run.name = name == "synthetic-convnet" ? "" : name;
      EXPECT_EQ(choose_run_folder(config_).path, dir_ / name);
      EXPECT_THAT(choose_run_folder(config_).notes,
                  ElementsAre(HasSubstr("ended before its first checkpoint was saved")));
    }
  }
}

TEST_F(RunChoice, ARunWhoseCheckpointsWereRemovedIsLeftAlone) {
  leave_metrics("no_folder", 1);
  leave_metrics("synthetic-convnet", 1);
  leave_metrics("emptied", 5);
  make_folders(dir_ / "emptied/checkpoints");
  leave_metrics("emptied_early", 1);
  make_folders(dir_ / "emptied_early/checkpoints");
  config_.checkpoint.every_steps = 20;
  leave_metrics("emptied_in_the_first_epoch", 0);
  dir_.write("emptied_in_the_first_epoch/metrics.jsonl", "{\"epoch\":1,\"step\":50}\n");
  make_folders(dir_ / "emptied_in_the_first_epoch/checkpoints");
  leave_metrics("without_metrics", 0);
  dir_.write("without_metrics/metrics.csv", "");
  dir_.write("without_metrics/metrics.jsonl", "{\"epoch\":3,\"step\":50}\n");
  leave_metrics("dangling", 1);
  make_folders(dir_ / "dangling/checkpoints");
  std::filesystem::create_symlink("step-00000001", std::string(dir_ / "dangling/checkpoints/last"));
  for (const char* const resume : {"auto", "never"}) {
    config_.run.resume = resume;
    for (const auto& [name, epochs] : {std::pair("no_folder", "1 epoch"),
                                       {"emptied", "5 epochs"},
                                       {"emptied_early", "1 epoch"},
                                       {"emptied_in_the_first_epoch", "0 epochs"},
                                       {"without_metrics", "0 epochs"},
                                       {"dangling", "1 "}}) {
      config_.run.name = name;
      EXPECT_THAT(
          error_of<UsageError>([&] { choose_run_folder(config_); }),
          AllOf(HasSubstr(std::string("already holds a run (") + epochs), HasSubstr("put its checkpoints/ back")));
    }
    config_.run.name = "";
    EXPECT_EQ(choose_run_folder(config_).path, dir_ / "synthetic-convnet-2");
  }
  config_.run.resume = "auto";
  EXPECT_THAT(choose_run_folder(config_).notes,
              ElementsAre(HasSubstr("synthetic-convnet holds a run (1 epoch in metrics.csv) but no checkpoint")));
}

TEST_F(RunChoice, ARunWhoseCheckpointsCannotBeListedIsPassedOver) {
  make_folders(dir_ / "synthetic-convnet");
  std::filesystem::create_symlink("checkpoints", std::string(dir_ / "synthetic-convnet/checkpoints"));
  const RunFolder run = choose_run_folder(config_);
  EXPECT_EQ(run.path, dir_ / "synthetic-convnet-2");
  EXPECT_THAT(run.notes, ElementsAre(HasSubstr("synthetic-convnet is passed over")));
}

TEST_F(RunChoice, AFinishedRunIsNotedAndANewOneStarts) {
  leave_run("synthetic-convnet", config_, 5, RunEnd::finished);
  dir_.write("synthetic-convnet/report.html", "");
  const RunFolder run = choose_run_folder(config_);
  EXPECT_EQ(run.path, dir_ / "synthetic-convnet-2");
  EXPECT_EQ(run.checkpoint, std::nullopt);
  EXPECT_THAT(run.notes, ElementsAre(AllOf(HasSubstr("synthetic-convnet is finished already"),
                                           HasSubstr("--run.name synthetic-convnet --train.epochs N"))));
}

TEST_F(RunChoice, AFinishedRunWithoutItsReportIsUnfinished) {
  for (const RunEnd end : {RunEnd::finished, RunEnd::early_stopped}) {
    leave_run("synthetic-convnet", config_, 5, end);
    const RunFolder run = choose_run_folder(config_);
    EXPECT_EQ(run.path, dir_ / "synthetic-convnet");
    EXPECT_EQ(run.checkpoint, dir_ / "synthetic-convnet/checkpoints/step-00000005");
  }
}

TEST_F(RunChoice, AnEarlyStoppedRunIsFinished) {
  leave_run("synthetic-convnet", config_, 3, RunEnd::early_stopped);
  dir_.write("synthetic-convnet/report.html", "");
  const RunFolder run = choose_run_folder(config_);
  EXPECT_EQ(run.path, dir_ / "synthetic-convnet-2");
  EXPECT_THAT(run.notes, ElementsAre(AllOf(HasSubstr("is finished already (stopped early)"),
                                           HasSubstr("--run.name synthetic-convnet --train.patience N"))));
}

TEST_F(RunChoice, ARunOfAnotherVersionStopsNobody) {
  leave_run("synthetic-convnet", "[train]\nno_such_setting = 1\n", 2);
  const RunFolder run = choose_run_folder(config_);
  EXPECT_EQ(run.path, dir_ / "synthetic-convnet-2");
  EXPECT_EQ(run.checkpoint, std::nullopt);
}

TEST_F(RunChoice, ARunInUseIsNotedAndLeftToItsProcess) {
  leave_run("synthetic-convnet", config_, 2);
  const UniqueFd held = lock_run_folder(dir_ / "synthetic-convnet");
  const RunFolder run = choose_run_folder(config_);
  EXPECT_EQ(run.path, dir_ / "synthetic-convnet-2");
  EXPECT_EQ(run.checkpoint, std::nullopt);
  EXPECT_THAT(run.notes, ElementsAre(HasSubstr("is passed over: another process trains there")));
}

TEST_F(RunChoice, ADamagedCheckpointGivesWayToTheOneBefore) {
  leave_run("synthetic-convnet", config_, 2);
  leave_run("synthetic-convnet", config_, 4);
  dir_.write(std::string("synthetic-convnet/checkpoints/step-00000004/") + Manifest::file_name, "{");
  EXPECT_EQ(choose_run_folder(config_).checkpoint, dir_ / "synthetic-convnet/checkpoints/step-00000002");
}

TEST_F(RunChoice, ANamedRunListsEachChangedSetting) {
  config_.run.name = "a";
  leave_run("a", config_, 2);
  EXPECT_THAT(choose_run_folder(config_).notes, ElementsAre());
  config_.train.epochs = 9;
  config_.loader.workers = 7;
  EXPECT_THAT(choose_run_folder(config_).notes,
              ElementsAre("loader.workers was 2, now 7", "train.epochs was 5, now 9"));
}

TEST_F(RunChoice, ARunWithoutAReadableCheckpointIsRefused) {
  leave_run("synthetic-convnet", config_, 2);
  leave_run("synthetic-convnet", config_, 3);
  dir_.write("synthetic-convnet/checkpoints/step-00000002/model.safetensors", "");
  dir_.write("synthetic-convnet/checkpoints/step-00000003/state.safetensors", "");
  const auto refused = AllOf(HasSubstr("none of them can be read"), HasSubstr("step-00000002/model.safetensors"),
                             HasSubstr("step-00000003/state.safetensors"), HasSubstr("choose another run.name"));
  EXPECT_THAT(error_of<RunError>([&] { choose_run_folder(config_); }), refused);
  config_.run.name = "synthetic-convnet";
  EXPECT_THAT(error_of<RunError>([&] { choose_run_folder(config_); }), refused);
  config_.run.resume = "never";
  EXPECT_THAT(error_of<UsageError>([&] { choose_run_folder(config_); }), HasSubstr("already holds a run"));
}

// Changes the setting to another allowed value.
void change(const Setting& setting) {
  const std::string before = toml_value(value_of(setting.field));
  for (const Value& value :
       std::vector<Value>{{true},
                          {std::int64_t{3}},
                          {std::int64_t{1}},
                          {0.5},
                          {0.25},
                          {std::string("cpu")},
                          {std::vector<Value>{{std::string("a")}}},
                          {std::vector<Value>{{std::int64_t{3}}, {std::int64_t{4}}, {std::int64_t{5}}}},
                          {false}}) {
    if (assign(setting.field, setting.allowed, value).empty() && toml_value(value_of(setting.field)) != before) return;
  }
  for (const std::string& word : setting.allowed.choices) {
    if (assign(setting.field, setting.allowed, {word}).empty() && toml_value(value_of(setting.field)) != before) return;
  }
  ADD_FAILURE() << "no other value for " << setting.key;
}

// A resume follows the rule in each setting's declaration.
TEST_F(RunChoice, EverySettingMayChangeAsItsRuleSays) {
  Config all = config_;
  for (const Setting& setting : settings_in(all)) {
    if (setting.key.starts_with("run.")) continue;  // they select the folder
    SCOPED_TRACE(setting.key);
    Config config = config_;
    config.run.dir = dir_ / setting.key;
    const std::vector<Setting> settings = settings_in(config);
    if (const Component* const component = setting.component) {
      const Setting& name = *find_setting(settings, component->section + ".name");
      *std::get<std::string*>(name.field) = component->used_by.front();
    }
    if (config.data.name == "csv") {  // by default it has no target
      const Setting& target = *find_setting(settings, "data.csv.target");
      ASSERT_EQ(assign(target.field, target.allowed, {std::vector<Value>{{std::string("price")}}}), "");
    }
    const std::string run = config.data.name + "-" + config.model.name;
    leave_run(setting.key + "/" + run, config, 1);
    change(*find_setting(settings, setting.key));

    EXPECT_EQ(choose_run_folder(config).checkpoint.has_value(), setting.resume == Resume::free);
    config.run.name = run;
    if (setting.resume == Resume::fixed) {
      EXPECT_THAT(error_of<UsageError>([&] { choose_run_folder(config); }), HasSubstr(setting.key + " was "));
    } else {
      EXPECT_THAT(choose_run_folder(config).notes, ElementsAre(StartsWith(setting.key + " was ")));
    }
  }
}

TEST_F(RunChoice, ATrialReplacesATrialAndNoFilesOfTheUser) {
  leave_metrics("scratch/a", 1);
  EXPECT_EQ(scratch_folder(config_, "a").path, dir_ / "scratch/a");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "scratch/a"));
  make_folders(dir_ / "scratch/ended_early/checkpoints/.tmp-none-yet");
  EXPECT_EQ(scratch_folder(config_, "ended_early").path, dir_ / "scratch/ended_early");
  dir_.write("scratch/mine/thesis.tex", "x");
  EXPECT_THAT(error_of<UsageError>([&] { scratch_folder(config_, "mine"); }),
              AllOf(HasSubstr("scratch/mine would be replaced, but thesis.tex there is not of a run")));
  EXPECT_TRUE(std::filesystem::exists(dir_ / "scratch/mine/thesis.tex"));
}

TEST(RunFolder, InterruptedWritesAreRemovedOnceItIsHeld) {
  const TempDir dir;
  dir.write("run/.tmp-config.toml-123", "half");
  dir.write("run/metrics.csv", "whole");
  const UniqueFd held = lock_run_folder(dir / "run");
  EXPECT_FALSE(std::filesystem::exists(dir / "run/.tmp-config.toml-123"));
  EXPECT_TRUE(std::filesystem::exists(dir / "run/metrics.csv"));
}

TEST(RunFolder, IsMissedOnceMovedOrRemoved) {
  const TempDir dir;
  const std::filesystem::path run = dir / "run";
  const UniqueFd held = lock_run_folder(run);
  require_not_moved(run, held);
  std::filesystem::rename(run, dir / "elsewhere");
  const auto message = [&] { return error_of<RunError>([&] { require_not_moved(run, held); }); };
  EXPECT_THAT(message(), AllOf(HasSubstr("was moved to"), HasSubstr("--run.name elsewhere")));
  std::filesystem::create_directory(run);
  EXPECT_THAT(message(), HasSubstr("was moved to")) << "another folder has the name";
  std::filesystem::remove(dir / "elsewhere");
  EXPECT_THAT(message(), HasSubstr("was removed"));
}

}  // namespace
}  // namespace trainyard
