#include "config/given.h"

#include <gmock/gmock.h>

#include "support/error_of.h"

namespace trainyard {
namespace {

const std::vector<Given> given = {{"schedule.warmup_epochs", "a.toml:2:1"},
                                  {"train.epochs", "b.toml:7:1"},
                                  {"train.seed", ""},
                                  {"optimizer.name", "b.toml:9:1"}};

TEST(WithPlaces, NameTheFilesOfTheSettingsInTheError) {
  EXPECT_EQ(with_places("[schedule.warmup_epochs] is 9, but the run has 5 (train.epochs, train.seed)", given, ""),
            "[schedule.warmup_epochs] is 9, but the run has 5 (train.epochs, train.seed)\n"
            "  schedule.warmup_epochs is set in a.toml:2:1\n"
            "  train.epochs is set in b.toml:7:1");
}

TEST(WithPlaces, NameTheSettingThatWasChecked) {
  EXPECT_EQ(with_places("there is no optimizer 'x'", given, "optimizer.name"),
            "there is no optimizer 'x'\n  optimizer.name is set in b.toml:9:1");
}

TEST(WithPlaces, PassOverSuggestionsAndLongerKeys) {
  for (const char* error : {"did you mean 'train.epochs'?", "no '{train.epochs}'", "train.epochs_more",
                            "a.train.epochs", "no key at all", ""}) {
    EXPECT_EQ(with_places(error, given, ""), error);
  }
}

TEST(CheckGiven, KeepsTheKindOfErrorAndLeavesOthersAlone) {
  EXPECT_EQ(error_of<UsageError>([] { check_given(given, "", [] { throw UsageError("train.epochs", "is 0"); }); }),
            "[train.epochs] is 0\n  train.epochs is set in b.toml:7:1");
  EXPECT_EQ(error_of<RunError>([] { check_given(given, "", [] { throw RunError("train.epochs", "is 0"); }); }),
            "[train.epochs] is 0");
}

}  // namespace
}  // namespace trainyard
