#include "config/component.h"

#include <gmock/gmock.h>

#include "config/config.h"
#include "config/settings.h"
#include "config/validate.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "util/error.h"
#include "util/probable_key.h"

namespace trainyard {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct RuleSettings {
  double low = 0;
  double high = 1;

  void declare(SettingTable& table) {
    table.add("low", low, "least", number(0, 9), Resume::free).formerly("optimizer.low");
    table.add("high", high, "most", number(0, 9), Resume::fixed);
  }
  void validate() const {
    if (low > high) throw UsageError("optimizer.rule.low", "is over optimizer.rule.high");
  }
};
const ComponentSettings<RuleSettings> rule{"optimizer.rule", {"rule", "ruler"}, __FILE__};

struct OtherSettings {
  double low = 3;

  void declare(SettingTable& table) {
    table.add("low", low, "least", number(0, 9), Resume::fixed).formerly("optimizer.low");
  }
};
const ComponentSettings<OtherSettings> other{"optimizer.other", {"other"}, __FILE__};

TEST(ComponentSettings, ReadDefaultsUntilTheyAreSet) {
  EXPECT_EQ(rule.in(OptimizerConfig{}).high, 1);
  const Config config = configured("--optimizer.name ruler --optimizer.rule.high 2");
  EXPECT_EQ(rule.in(config.optimizer).high, 2);
  EXPECT_EQ(rule.in(config.optimizer).low, 0);
}

TEST(ComponentSettings, ConfigurationsAreCopiedDeeply) {
  const Config config = configured("--optimizer.name rule --optimizer.rule.high 2");
  const Config changed = configured("--optimizer.rule.high 3", config);
  EXPECT_EQ(rule.in(config.optimizer).high, 2);
  EXPECT_EQ(rule.in(changed.optimizer).high, 3);
}

TEST(ComponentSettings, AreValidatedIfSelected) {
  const Config config = configured("--optimizer.name rule --optimizer.rule.low 2");
  EXPECT_THAT(error_of<UsageError>([&] { validate(config); }), StartsWith("[optimizer.rule.low]"));
  EXPECT_NO_THROW(validate(configured("--optimizer.name other", config)));
}

TEST(ComponentSettings, FormerKeyOfSeveralNamesThemAllOrTheSelectedOne) {
  EXPECT_THAT(error_of<UsageError>([] { configured("--optimizer.low 1"); }),
              HasSubstr("it is now optimizer.other.low or optimizer.rule.low"));
  Config config;
  config.optimizer.name = "other";
  EXPECT_EQ(advice_on_unknown_key(settings_in(config), "optimizer.low"), "it is now optimizer.other.low");
}

TEST(ComponentSettings, MisspeltKeyFindsAComponents) {
  EXPECT_EQ(probable_key("optimizer.rule.hig", flag_keys()), "optimizer.rule.high");
  EXPECT_EQ(probable_key("optimizer.high", flag_keys()), "optimizer.rule.high");
}

TEST(ComponentSettings, TwoOfOnePrefixEndTheProgram) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH((ComponentSettings<OtherSettings>{"optimizer.rule", {"x"}, "b.cpp"}),
               "'optimizer.rule' is declared twice: in .*component_test.cpp and in b.cpp; rename one");
}

struct TwiceSettings {
  int one = 1;
  int another = 1;

  void declare(SettingTable& table) {
    table.add("one", one, "one", whole(0, 9), Resume::free);
    table.add("one", another, "another", whole(0, 9), Resume::free);
  }
};

TEST(ComponentSettings, KeyDeclaredTwiceEndsTheProgram) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH((ComponentSettings<TwiceSettings>{"optimizer.twice", {"twice"}, "c.cpp"}),
               "'optimizer.twice.one' is declared twice: in c.cpp and in c.cpp");
}

TEST(ComponentSettings, ComponentNamedAsASectionsSettingEndsTheProgram) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH((ComponentSettings<OtherSettings>{"optimizer.lr", {"lr"}, "d.cpp"}), "'optimizer.lr' is declared twice");
}

TEST(Settings, EveryDefaultIsAllowedAndEveryKeyHasHelp) {
  Config config;
  for (const Setting& setting : settings_in(config)) {
    EXPECT_EQ(assign(setting.field, setting.allowed, value_of(setting.field)), "") << setting.key;
    EXPECT_NE(setting.help, "") << setting.key;
  }
}

}  // namespace
}  // namespace trainyard
