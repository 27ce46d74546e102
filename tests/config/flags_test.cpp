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

TEST(SettingFlags, FlagReplacesAFilesComponentAndSaysSo) {
  const TempDir dir;
  const std::string file = dir.write("x.toml", "[data]\nname = 'synthetic'\nsynthetic.samples = 7\n");
  testing::internal::CaptureStdout();
  EXPECT_EQ(parse({"--config", file, "--data.name", "cifar10"}).data.name, "cifar10");
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              AllOf(HasSubstr("data.synthetic.samples"), HasSubstr("is not used"), HasSubstr("that is cifar10")));
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
  EXPECT_THAT(SettingFlags(words).apply_to(config), ElementsAre("train.epochs", "train.device"));
}

TEST(SettingFlags, EmptyTextIsAValue) {
  EXPECT_EQ(parse({"--data.root", ""}).data.root, "");
  EXPECT_EQ(parse({"--run.name="}).run.name, "");
}

TEST(SettingFlags, FlagGivenTwiceIsRefusedWithBothValues) {
  EXPECT_THAT(refusal({"--train.epochs", "3", "--train.epochs=4"}),
              AllOf(HasSubstr("--train.epochs is given twice"), HasSubstr("'3'"), HasSubstr("'4'")));
  EXPECT_THAT(refusal({"--config", "a", "--config", "b"}), HasSubstr("--config is given twice"));
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
