#include "config/run_name.h"

#include <gmock/gmock.h>

#include "support/error_of.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

std::string expanded(const std::string& name) {
  Config config;
  config.model.name = "resnet18";
  config.optimizer.lr = 0.05;
  config.train.seed = 7;
  config.run.name = name;
  expand_run_name(config);
  return config.run.name;
}

std::string refusal(const std::string& name) {
  return error_of<UsageError>([&] { expanded(name); });
}

TEST(RunName, PlaceholdersAreReplacedByValues) {
  EXPECT_EQ(expanded(""), "");
  EXPECT_EQ(expanded("plain"), "plain");
  EXPECT_EQ(expanded("{model.name}-lr{optimizer.lr}-seed{train.seed}"), "resnet18-lr0.05-seed7");
}

TEST(RunName, AnUnknownKeyGetsTheProbableOne) {
  EXPECT_THAT(refusal("{train.sede}"), HasSubstr("no setting 'train.sede' to put in place of '{train.sede}'; did you "
                                                 "mean 'train.seed'?"));
  EXPECT_THAT(refusal("{}"), HasSubstr("no setting ''"));
}

TEST(RunName, ASettingThatTheRunDoesNotHaveIsRefused) {
  EXPECT_THAT(refusal("{data.csv.label}"), HasSubstr("is of data.name = csv, but that is fashion_mnist"));
  EXPECT_THAT(refusal("a-{run.name}"), HasSubstr("cannot contain itself"));
}

TEST(RunName, ABraceWithoutAPartnerIsRefused) {
  for (const char* const name : {"{", "}", "a{train.seed", "train.seed}", "{{train.seed}}"}) {
    EXPECT_THAT(refusal(name), HasSubstr("has a brace without a partner")) << name;
  }
}

}  // namespace
}  // namespace trainyard
