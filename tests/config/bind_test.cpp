#include "config/bind.h"

#include <functional>

#include <CLI/CLI.hpp>
#include <gmock/gmock.h>

#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Config parse(const std::vector<std::string>& arguments) {
  Config config;
  CLI::App app;
  bind(app, config);
  app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  return config;
}

// Tests may run at the same time: each file has a folder of its own.
std::string write_config(const std::string& text) {
  static const TempDir dir;
  return dir.write("config.toml", text);
}

template <typename Exception>
std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Bind, FlagBeatsFileBeatsDefault) {
  const std::string file = write_config("[loader]\nbatch_size = 7\nworkers = 3\n[model]\nname = \"resnet18\"\n");
  const Config config = parse({"--config", file, "--loader.workers", "1"});
  EXPECT_EQ(config.loader.batch_size, 7);
  EXPECT_EQ(config.loader.workers, 1);
  EXPECT_EQ(config.model.name, "resnet18");
  EXPECT_EQ(config.loader.prefetch, LoaderConfig{}.prefetch);
}

TEST(Bind, ReadsListsFromFileAndFlags) {
  const std::string file = write_config(
      "[transform]\ntrain = [\"random_crop(padding=4)\", \"random_horizontal_flip\"]\n[data]\nshape = [28, 14, 1]\n");
  const Config from_file = parse({"--config", file});
  EXPECT_THAT(from_file.transform.train, ElementsAre("random_crop(padding=4)", "random_horizontal_flip"));
  EXPECT_THAT(from_file.data.shape, ElementsAre(28, 14, 1));
  const Config from_flags = parse({"--transform.train", "random_crop", "--data.shape", "8,9,3"});
  EXPECT_THAT(from_flags.transform.train, ElementsAre("random_crop"));
  EXPECT_THAT(from_flags.data.shape, ElementsAre(8, 9, 3));
}

TEST(Bind, MisspeltKeyInFileIsRefusedWithTheNearest) {
  const std::string file = write_config("[model]\nnmae = \"resnet18\"\n");
  EXPECT_THAT(message_of<UsageError>([&] { parse({"--config", file}); }),
              testing::AllOf(HasSubstr("'model.nmae'"), HasSubstr("'model.name'")));
}

TEST(Bind, KeyInTheWrongSectionIsRefused) {
  const std::string file = write_config("batch_size = 3\n");
  EXPECT_THAT(message_of<UsageError>([&] { parse({"--config", file}); }), HasSubstr("'batch_size'"));
}

struct BadValue {
  std::string key;
  std::string value;
};

class ImpossibleValue : public testing::TestWithParam<BadValue> {};

TEST_P(ImpossibleValue, NamesTheKeyTheValueAndWhatIsAllowed) {
  const std::string key = GetParam().key;
  const std::string value = GetParam().value;
  EXPECT_THAT(message_of<CLI::ParseError>([&] { parse({"--" + key + "=" + value}); }),
              testing::AllOf(HasSubstr(key), HasSubstr(value), HasSubstr("allowed")));
  const std::size_t dot = key.find('.');
  const std::string file =
      write_config("[" + key.substr(0, dot) + "]\n" + key.substr(dot + 1) + " = \"" + value + "\"\n");
  EXPECT_THAT(message_of<CLI::ParseError>([&] { parse({"--config", file}); }), HasSubstr(value));
}

INSTANTIATE_TEST_SUITE_P(Bind, ImpossibleValue,
                         testing::Values(BadValue{"train.epochs", "-1"}, BadValue{"train.epochs", "0"},
                                         BadValue{"train.epochs", "2.5"}, BadValue{"loader.batch_size", "0"},
                                         BadValue{"loader.batch_size", "many"}, BadValue{"loader.workers", "-1"},
                                         BadValue{"loader.workers", "100000"}, BadValue{"optimizer.lr", "-0.1"},
                                         BadValue{"optimizer.lr", "nan"}, BadValue{"train.device", "gpu"},
                                         BadValue{"train.device", "cuda:"}, BadValue{"train.precision", "fp8"},
                                         BadValue{"schedule.name", "cosin"}, BadValue{"train.on_nonfinite", "ignore"},
                                         BadValue{"train.accumulate", "0"}, BadValue{"train.ema_decay", "1"},
                                         BadValue{"checkpoint.keep", "0"}, BadValue{"train.seed", "-5"},
                                         BadValue{"train.deterministic", "maybe"}));

TEST(Bind, NegativeNumberAfterASpaceIsAValueToo) {
  EXPECT_THAT(message_of<CLI::ParseError>([&] { parse({"--train.epochs", "-1"}); }), HasSubstr("train.epochs"));
}

TEST(ToToml, ReadsBackTheSame) {
  Config config;
  config.model.name = "resnet50";
  config.data.shape = {1, 2, 3};
  config.transform.train = {"random_crop(padding=4)", "random_horizontal_flip"};
  config.optimizer.lr = 0.1 + 0.2;  // has no short decimal form
  config.optimizer.nesterov = false;
  config.train.seed = 9'007'199'254'740'991;
  config.run.name = "a name with spaces";
  const std::string text = to_toml(config);
  EXPECT_EQ(to_toml(config_from_toml(text, "test")), text);
  const Config read = config_from_toml(text, "test");
  EXPECT_EQ(read.optimizer.lr, config.optimizer.lr);
  EXPECT_EQ(read.train.seed, config.train.seed);
  EXPECT_EQ(read.transform.train, config.transform.train);
  EXPECT_EQ(read.run.name, config.run.name);
  EXPECT_FALSE(read.optimizer.nesterov);
}

TEST(ToToml, DefaultsReadBackTheSame) {
  const std::string text = to_toml(Config{});
  EXPECT_EQ(to_toml(config_from_toml(text, "test")), text);
}

TEST(Validate, WarmUpMustBeShorterThanTheRun) {
  Config config;
  config.data.name = "synthetic";
  config.schedule.warmup_epochs = 5;
  config.train.epochs = 5;
  EXPECT_THAT(message_of<UsageError>([&] { validate(config); }), HasSubstr("schedule.warmup_epochs"));
}

TEST(Validate, ResettingTheHeadNeedsWeightsToBeginFrom) {
  Config config;
  config.data.name = "synthetic";
  config.model.reset_head = true;
  EXPECT_THAT(message_of<UsageError>([&] { validate(config); }), HasSubstr("model.weights"));
}

TEST(Validate, RunNameIsOneFolder) {
  Config config;
  config.data.name = "synthetic";
  config.run.name = "../elsewhere";
  EXPECT_THAT(message_of<UsageError>([&] { validate(config); }), HasSubstr("run.name"));
}

}  // namespace
}  // namespace trainyard
