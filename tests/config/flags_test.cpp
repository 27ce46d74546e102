#include "config/flags.h"

#include <filesystem>

#include <gmock/gmock.h>

#include "support/configured.h"
#include "support/error_of.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

Config parse(std::vector<std::string> arguments) {
  Config config;
  SettingFlags(arguments).apply_to(config);
  EXPECT_THAT(arguments, IsEmpty());
  return config;
}

std::string refusal(const std::vector<std::string>& arguments) {
  return error_of<UsageError>([&] { parse(arguments); });
}

TEST(SettingFlags, FlagBeatsFileBeatsDefault) {
  const TempDir dir;
  const std::string file = dir.write("x.toml", "[loader]\nbatch_size = 7\nworkers = 3\n[model]\nname = \"resnet18\"\n");
  const Config config = parse({"--config", file, "--loader.workers", "1"});
  EXPECT_EQ(config.loader.batch_size, 7);
  EXPECT_EQ(config.loader.workers, 1);
  EXPECT_EQ(config.model.name, "resnet18");
  EXPECT_EQ(config.loader.prefetch, LoaderConfig{}.prefetch);
  EXPECT_EQ(parse({"--loader.workers=1", "--config=" + file}).loader.workers, 1) << "wherever the file stands";
}

TEST(SettingFlags, LeavesOtherArgumentsInTheirOrder) {
  std::vector<std::string> arguments = {"eval",    "--json",         "--train.device",  "cpu", "runs/a",         "-v",
                                        "--top=3", "--model.nmae=x", "--train.dry_run", "--",  "--train.epochs", "3"};
  const SettingFlags flags(arguments);
  EXPECT_THAT(arguments, ElementsAre("eval", "--json", "runs/a", "-v", "--top=3", "--model.nmae=x", "--train.dry_run",
                                     "--", "--train.epochs", "3"));
}

TEST(SettingFlags, ListTakesOneValueAFlagAndEmptyMeansNone) {
  EXPECT_THAT(parse({"--transform.train", "a(x=1, y=2)", "--transform.train=b"}).transform.train,
              ElementsAre("a(x=1, y=2)", "b"));
  for (const std::vector<std::string>& shape : {std::vector<std::string>{"8,9,3"}, {"8", "9", "3"}}) {
    std::vector<std::string> words = {"--data.name", "synthetic"};
    for (const std::string& item : shape) words.insert(words.end(), {"--data.synthetic.shape", item});
    EXPECT_THAT(setting_value<std::vector<std::int64_t>>(parse(words), "data.synthetic.shape"), ElementsAre(8, 9, 3));
  }
  const TempDir dir;
  const std::string file = dir.write("x.toml", "[transform]\ntrain = ['random_horizontal_flip']\n");
  EXPECT_THAT(parse({"--config", file, "--transform.train", ""}).transform.train, IsEmpty());
  EXPECT_THAT(parse({"--config", file, "--transform.train="}).transform.train, IsEmpty());
  EXPECT_THAT(parse({"--config", file, "--transform.train=", "--transform.train", "a"}).transform.train,
              ElementsAre("a"));
}

TEST(SettingFlags, FlagOfAComponentThatIsNotSelectedIsRefused) {
  EXPECT_THAT(
      refusal({"--data.synthetic.samples", "7"}),
      HasSubstr("--data.synthetic.samples is of data.name = synthetic, but that is fashion_mnist; set data.name"));
  EXPECT_EQ(setting_value<std::int64_t>(parse({"--data.synthetic.samples", "7", "--data.name", "synthetic"}),
                                        "data.synthetic.samples"),
            7);
}

std::vector<std::string> notes(std::vector<std::string> arguments) {
  Config config;
  return SettingFlags(arguments).apply_to(config).notes;
}

class Composition : public testing::Test {
 protected:
  const TempDir dir_;
  const std::string base_ = dir_.write("base.toml",
                                       "[data]\nname = 'synthetic'\nsynthetic.samples = 7\n[transform]\ntrain = "
                                       "['a', 'b']\n[train]\nepochs = 9\nseed = 3\n");
  const std::string other_ = dir_.write("other.toml", "[data]\nname = 'cifar10'\n");
};

TEST_F(Composition, LaterFilesOverrideEarlierOnesKeyByKey) {
  const std::string file = dir_.write("x.toml", "[train]\nepochs = 2\nseed = 4\n[data.synthetic]\nclasses = 5\n");
  const Config config = parse({"--train.seed", "5", "--config", base_, "--config=" + file});
  EXPECT_EQ(config.train.epochs, 2);
  EXPECT_EQ(config.train.seed, 5u) << "a flag overrides every file, wherever it stands";
  EXPECT_EQ(setting_value<std::int64_t>(config, "data.synthetic.samples"), 7);
  EXPECT_EQ(setting_value<std::int64_t>(config, "data.synthetic.classes"), 5);
  EXPECT_EQ(parse({"--config", file, "--config", base_}).train.epochs, 9);
  EXPECT_EQ(parse({"--config", base_, "--config", file, "--config", base_}).train.epochs, 9);
}

TEST_F(Composition, ListIsReplacedAsAWhole) {
  const std::string file = dir_.write("x.toml", "transform.train = ['c']\n");
  EXPECT_THAT(parse({"--config", base_, "--config", file}).transform.train, ElementsAre("c"));
  const std::string none = dir_.write("none.toml", "transform.train = []\n");
  EXPECT_THAT(parse({"--config", base_, "--config", none}).transform.train, IsEmpty());
}

TEST_F(Composition, EmptyFileChangesNothing) {
  EXPECT_EQ(parse({"--config", base_, "--config", dir_.write("empty.toml", "")}).train.epochs, 9);
}

TEST_F(Composition, FileOrFlagMayReplaceAFilesComponentAndSaysSo) {
  const std::string unused =
      "[config] " + base_ + ":3:11: data.synthetic.samples is not used: it is of data.name = synthetic, but that is ";
  EXPECT_THAT(notes({"--config", base_, "--config", other_}), ElementsAre(unused + "cifar10 (" + other_ + ":2:1)"));
  EXPECT_THAT(notes({"--config", base_, "--data.name", "cifar10"}), ElementsAre(unused + "cifar10 (--data.name)"));
}

TEST_F(Composition, FileOrFlagMaySelectAnEarlierFilesComponent) {
  const std::string file = dir_.write("x.toml", "data.synthetic.samples = 8\n");
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{"--config", base_}, {"--data.name", "synthetic", "--config", other_}}) {
    std::vector<std::string> words = {"--config", file};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_THAT(notes(words), IsEmpty());
    EXPECT_EQ(parse(words).data.name, "synthetic");
  }
}

TEST_F(Composition, SettingOfAComponentThatEarlierFilesDeselectIsRefused) {
  const std::string file = dir_.write("x.toml", "[train]\n[data.synthetic]\nsamples = 8\n");
  EXPECT_THAT(
      refusal({"--config", other_, "--config", file}),
      AllOf(HasSubstr("[config] " + file + ":3:1: data.synthetic.samples is of data.name = synthetic, but that "),
            HasSubstr("is cifar10 (" + other_ + ":2:1); set data.name, or drop it")));
  EXPECT_THAT(refusal({"--config", base_, "--config", other_, "--config", file}), HasSubstr(file + ":3:1: "));
  EXPECT_THAT(
      refusal({"--config", other_, "--data.synthetic.samples", "8"}),
      HasSubstr("--data.synthetic.samples is of data.name = synthetic, but that is cifar10 (" + other_ + ":2:1)"));
}

TEST_F(Composition, SettingWithoutEffectIsRefused) {
  EXPECT_EQ(refusal({"--loader.workers", "0", "--loader.prefetch", "8"}),
            "[trainyard] --loader.prefetch is 8, and has an effect only if loader.workers > 0, but that is 0 "
            "(--loader.workers); set that, or drop it");
  EXPECT_THAT(
      refusal({"--loader.cache_name", "a"}),
      HasSubstr("--loader.cache_name is a, and has an effect only if loader.cache = shm, but that is none; set"));
  EXPECT_THAT(refusal({"--loader.cache_name", "empty"}), HasSubstr("is empty, and has")) << "a name, not the default";
  EXPECT_THAT(refusal({"--model.reset_head", "true"}), HasSubstr("only if model.weights is set, but that is empty"));
  const std::string file = dir_.write("x.toml", "[loader]\ntimeout = 9\nworkers = 0\n");
  EXPECT_THAT(refusal({"--config", file}), HasSubstr("[config] " + file + ":2:1: loader.timeout is 9.0, and has"));
  EXPECT_EQ(parse({"--config", file, "--loader.workers", "1"}).loader.timeout, 9);
  EXPECT_EQ(parse({"--loader.workers", "0", "--loader.prefetch", "4"}).loader.prefetch, 4) << "the default";
}

TEST_F(Composition, SettingWithoutEffectSinceALaterLayerIsResetAndSaysSo) {
  const std::string file = dir_.write("x.toml", "[loader]\nprefetch = 8\n");
  const std::vector<std::string> words = {"--config", file, "--loader.workers", "0"};
  EXPECT_THAT(notes(words), ElementsAre("[config] " + file +
                                        ":2:1: loader.prefetch is not used: it has an effect only if "
                                        "loader.workers > 0, but that is 0 (--loader.workers)"));
  EXPECT_EQ(parse(words).loader.prefetch, LoaderConfig{}.prefetch) << "so that the written configuration reads back";
}

TEST_F(Composition, RelativePathsOfARunStayItsOwn) {
  const std::string run = dir_.write("run.toml", "[data]\nroot = 'photos'\n[run]\nstarted_in = '/elsewhere'\n");
  EXPECT_EQ(parse({"--config", run, "--config", other_}).data.root, "/elsewhere/photos");
  const std::string mine = dir_.write("mine.toml", "data.root = 'mine'\n");
  EXPECT_EQ(parse({"--config", run, "--config", mine}).data.root, "mine");
  EXPECT_EQ(parse({"--config", mine, "--config", run}).data.root, "/elsewhere/photos");
}

TEST_F(Composition, ErrorsNameTheFileThatIsWrongEvenIfAnotherOverridesIt) {
  const std::string wrong = dir_.write("wrong.toml", "[train]\nepochs = 0\n");
  for (const std::vector<std::string>& files : {std::vector<std::string>{wrong, base_}, {base_, wrong}}) {
    EXPECT_THAT(refusal({"--config", files[0], "--config", files[1]}), HasSubstr("[config] " + wrong + ":2:1: "));
  }
  EXPECT_THAT(refusal({"--config", base_, "--config", dir_ / "none.toml"}), HasSubstr("none.toml"));
}

TEST_F(Composition, TellsEachSettingOnceWithThePlaceThatCounts) {
  const std::string file = dir_.write("x.toml", "[train]\nepochs = 2\npatience = 1\n");
  std::vector<std::string> words = {"--config", base_, "--config", file, "--train.patience", "3"};
  Config config;
  std::vector<std::string> told;
  for (const Given& given : SettingFlags(words).apply_to(config).given) told.push_back(given.key + " " + given.place);
  EXPECT_THAT(told, ElementsAre("data.name " + base_ + ":2:1", "data.synthetic.samples " + base_ + ":3:11",
                                "transform.train " + base_ + ":5:1", "train.seed " + base_ + ":8:1",
                                "train.epochs " + file + ":2:1", "train.patience "));
}

TEST(SettingFlags, MovedFlagIsRefusedWithItsNewName) {
  EXPECT_THAT(refusal({"--data.samples", "7"}),
              HasSubstr("no flag '--data.samples'; it is now data.synthetic.samples"));
}

TEST(SettingFlags, TellsWhatWasGivenEvenWithTheValueOfADefault) {
  const TempDir dir;
  const std::string file = dir.write("x.toml", "[train]\nepochs = 5\n");
  std::vector<std::string> words = {"--train.device", "auto", "--config", file};
  Config config;
  EXPECT_THAT(SettingFlags(words).apply_to(config).given,
              ElementsAre(Field(&Given::key, "train.epochs"), Field(&Given::key, "train.device")));
}

TEST(SettingFlags, EmptyTextIsAValue) {
  EXPECT_EQ(parse({"--data.root", ""}).data.root, "");
  EXPECT_EQ(parse({"--run.name="}).run.name, "");
}

TEST(SettingFlags, FlagGivenTwiceIsRefusedWithBothValues) {
  EXPECT_THAT(refusal({"--train.epochs", "3", "--train.epochs=4"}),
              AllOf(HasSubstr("--train.epochs is given twice"), HasSubstr("'3'"), HasSubstr("'4'")));
}

TEST(SettingFlags, FlagWithoutAValueSaysWhatIsAllowed) {
  EXPECT_THAT(refusal({"--train.deterministic"}), HasSubstr("--train.deterministic needs a value: true, false"));
  EXPECT_THAT(refusal({"--run.name", "--train.epochs", "3"}), HasSubstr("--run.name needs a value"));
  EXPECT_THAT(refusal({"--config"}), HasSubstr("--config needs a value: a TOML file"));
}

TEST(SettingFlags, TextThatIsNotUtf8IsRefusedWithItsFlag) {
  EXPECT_THAT(refusal({"--data.root", "/data/caf\xe9"}), AllOf(HasSubstr("--data.root"), HasSubstr("not UTF-8")));
}

TEST(SettingFlags, WorkingFolderIsRecordedAndNoFlag) {
  EXPECT_EQ(parse({}).run.started_in, std::filesystem::current_path().string());
  std::vector<std::string> arguments = {"--run.started_in", "/x"};
  const SettingFlags flags(arguments);
  EXPECT_EQ(arguments.size(), 2u);
}

struct BadValue {
  std::string key;
  std::string value;
};

class ImpossibleValue : public testing::TestWithParam<BadValue> {};

TEST_P(ImpossibleValue, NamesTheFlagTheValueAndWhatIsAllowed) {
  const auto& [key, value] = GetParam();
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"--" + key + "=" + value}, std::vector<std::string>{"--" + key, value}}) {
    EXPECT_THAT(refusal(words), AllOf(HasSubstr("--" + key + " is "), HasSubstr(value), HasSubstr("allowed")));
  }
}

INSTANTIATE_TEST_SUITE_P(
    SettingFlags, ImpossibleValue,
    testing::Values(BadValue{"train.epochs", "-1"}, BadValue{"train.epochs", "0"}, BadValue{"train.epochs", "2.5"},
                    BadValue{"train.epochs", "0x10"}, BadValue{"train.epochs", " 5"}, BadValue{"train.epochs", "5 "},
                    BadValue{"train.epochs", ""}, BadValue{"train.epochs", "1e3"},
                    BadValue{"train.epochs", "99999999999999999999"}, BadValue{"train.epochs", "4294967297"},
                    BadValue{"loader.batch_size", "many"}, BadValue{"loader.workers", "100000"},
                    BadValue{"optimizer.lr", "-0.1"}, BadValue{"optimizer.lr", "nan"}, BadValue{"optimizer.lr", "inf"},
                    BadValue{"optimizer.lr", "1e400"}, BadValue{"optimizer.lr", "0x10"}, BadValue{"optimizer.lr", " 5"},
                    BadValue{"optimizer.lr", ""}, BadValue{"optimizer.lr", "0,1"},
                    BadValue{"data.synthetic.samples", "0"}, BadValue{"train.device", "gpu"},
                    BadValue{"train.device", "cuda:"}, BadValue{"train.device", "cuda:0,0"},
                    BadValue{"train.device", ""}, BadValue{"train.precision", "fp8"}, BadValue{"loader.cache", "disk"},
                    BadValue{"train.on_nonfinite", "ignore"}, BadValue{"train.ema_decay", "1"},
                    BadValue{"data.channels", "2"}, BadValue{"train.seed", "-5"},
                    BadValue{"train.seed", "9223372036854775808"}, BadValue{"train.seed", "18446744073709551616"},
                    BadValue{"train.deterministic", "maybe"}, BadValue{"train.deterministic", "1"}));

TEST(SettingFlags, LargestAndSmallestNumbersAreTaken) {
  const Config config = parse({"--train.seed", "9223372036854775807", "--optimizer.lr", "5e-324",
                               "--train.clip_grad_norm", "0", "--train.deterministic", "true", "--data.channels", "1"});
  EXPECT_EQ(config.train.seed, 9'223'372'036'854'775'807u);
  EXPECT_EQ(config.optimizer.lr, 5e-324);
  EXPECT_TRUE(config.train.deterministic);
  EXPECT_EQ(config.data.channels, 1);
}

}  // namespace
}  // namespace trainyard
