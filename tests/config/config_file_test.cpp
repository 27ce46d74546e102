#include "config/config_file.h"

#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "config/component.h"
#include "config/settings.h"
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
using testing::StartsWith;

// A component with settings of all types.
struct MixerSettings {
  std::string words;
  bool flag = false;
  int depth = 8;
  double share = 0.5;
  Precision precision = Precision::fp32;
  std::vector<std::string> names;

  void declare(SettingTable& table) {
    table.add("words", words, "words", Resume::fixed);
    table.add("flag", flag, "flag", Resume::fixed);
    table.add("depth", depth, "depth", whole(1, 100), Resume::fixed);
    table.add("share", share, "share", number(0, 1), Resume::fixed);
    table.add("precision", precision, "precision", Resume::fixed);
    table.add("names", names, "names", Resume::fixed);
  }
};
const ComponentSettings<MixerSettings> mixer{"model.mixer", {"mixer", "mixer_large"}, __FILE__};

Config read(const std::string& text) { return config_from_toml(text, "x.toml"); }

std::string refusal(const std::string& text) {
  return error_of<UsageError>([&] { read(text); });
}

TEST(ConfigFile, ReadsEveryFormOfToml) {
  const Config config = read(
      "\xef\xbb\xbf# settings\r\n"
      "train.seed = 0x1F\r\n"
      "train . epochs = 1_0\r\n"
      "optimizer = { name = 'adamw', lr = 1 }  # a table in one line\r\n"
      "[ \"data\" ]\r\n"
      "root = \"\"\"\\\r\n   /a#b\"\"\"\r\n"
      "name = 'synthetic'\r\n"
      "[data.synthetic]\r\n"
      "shape = [\r\n  28,\r\n  14,  # width\r\n  1,\r\n]\r\n"
      "[transform]\r\n"
      "train = [\r\n  'random_crop(padding=4)',\r\n  \"random_horizontal_flip\",\r\n]\r\n"
      "test = []\r\n");
  EXPECT_EQ(config.train.seed, 31u);
  EXPECT_EQ(config.train.epochs, 10);
  EXPECT_EQ(config.optimizer.name, "adamw");
  EXPECT_EQ(config.optimizer.lr, 1);
  EXPECT_EQ(config.data.root, "/a#b");
  EXPECT_THAT(setting_value<std::vector<std::int64_t>>(config, "data.synthetic.shape"), ElementsAre(28, 14, 1));
  EXPECT_THAT(config.transform.train, ElementsAre("random_crop(padding=4)", "random_horizontal_flip"));
  EXPECT_THAT(config.transform.test, IsEmpty());
}

struct Refused {
  const char* name;
  std::string text;
  std::string place;  ///< line and column
  std::string words;
};

class RefusedText : public testing::TestWithParam<Refused> {};

TEST_P(RefusedText, NamesFileLineColumnAndCause) {
  EXPECT_THAT(refusal(GetParam().text),
              AllOf(StartsWith("[config] x.toml:" + GetParam().place), HasSubstr(GetParam().words)));
}

INSTANTIATE_TEST_SUITE_P(
    ConfigFile, RefusedText,
    testing::Values(
        Refused{"unknown_key", "[model]\nnmae = 'x'\n", "2:1: ", "no key 'model.nmae'; did you mean 'model.name'"},
        Refused{"unknown_section", "[modle]\nname = 'x'\n", "2:1: ", "did you mean 'model.name'"},
        Refused{"empty_unknown_section", "[model]\n[modle]\n", "2:2: ", "no key 'modle'"},
        Refused{"key_without_section", "batch_size = 3\n", "1:1: ", "did you mean 'loader.batch_size'"},
        Refused{"key_in_wrong_section", "[train]\n\nbatch_size = 3\n", "3:1: ", "did you mean 'loader.batch_size'"},
        Refused{"quoted_key_with_a_dot", "'model.name' = 'x'\n", "1:1: ", "did you mean 'model.name'"},
        Refused{"section_within_a_section", "[model.name]\nx = 1\n",
                "2:1: ", "no key 'model.name.x'; did you mean 'model.name'"},
        Refused{"empty_table_for_a_text", "[model.name]\n", "1:8: ", "model.name is a table"},
        Refused{"moved_key", "[data]\nname = 'synthetic'\nsamples = 7\n",
                "3:1: ", "no key 'data.samples'; it is now data.synthetic.samples"},
        Refused{
            "component_not_selected", "[data.synthetic]\nsamples = 7\n", "2:1: ",
            "data.synthetic.samples is of data.name = synthetic, but that is fashion_mnist; set data.name, or drop it"},
        Refused{"component_that_the_file_deselects", "[data]\nname = 'cifar10'\nsynthetic.samples = 7\n",
                "3:11: ", "but that is cifar10 (x.toml:2:1); set data.name, or drop it"},
        Refused{"section_given_as_text", "model = 'x'\n", "1:1: ", "no key 'model'"},
        Refused{"list_of_sections", "[[model]]\nname = 'x'\n", "1:3: ", "no key 'model'"},
        Refused{"section_given_twice", "[model]\n[train]\n[model]\n", "3:", "model"},
        Refused{"key_given_twice", "[train]\nseed = 1\nseed = 2\n", "3:", "seed"},
        Refused{"unterminated_text", "[data]\nroot = \"/a\n", "2:", "string"},
        Refused{"text_for_a_number", "[train]\nepochs = '3'\n",
                "2:1: ", "train.epochs is '3'; allowed: a whole number from 1 to 1000000"},
        Refused{"number_for_a_text", "[model]\nname = 3\n", "2:1: ", "model.name is 3; allowed: text in quotes"},
        Refused{"real_for_a_whole_number", "[train]\nepochs = 3.0\n", "2:1: ", "is 3.0; allowed: a whole number"},
        Refused{"number_for_a_truth", "[train]\ndeterministic = 1\n", "2:1: ", "is 1; allowed: true, false"},
        Refused{"text_for_a_list", "[transform]\ntrain = 'resize'\n", "2:1: ", "is 'resize'; allowed: a list"},
        Refused{"number_in_a_list_of_texts", "[transform]\ntrain = ['resize', 3]\n", "2:1: ", "item 2, which is 3"},
        Refused{"list_in_a_list", "[data.synthetic]\nshape = [1, [2], 3]\n", "2:1: ", "item 2, which is a list"},
        Refused{"too_short_a_list", "[data.synthetic]\nshape = [28, 28]\n",
                "2:1: ", "is [28, 28]; allowed: a list of 3"},
        Refused{"list_for_a_number", "[train]\nepochs = [1]\n", "2:1: ", "is [1]; allowed: a whole number"},
        Refused{"date", "[run]\nname = 2024-01-01\n", "2:1: ", "is a date or a time"},
        Refused{"beyond_64_bits", "[train]\nseed = 9223372036854775808\n", "2:", ""},
        Refused{"beyond_32_bits", "[train]\nepochs = 4294967297\n", "2:1: ", "is 4294967297; allowed"},
        Refused{"nan", "[optimizer]\nlr = nan\n", "2:1: ", "is nan; allowed: a number from 0"},
        Refused{"infinity", "[optimizer]\nlr = inf\n", "2:1: ", "is inf; allowed: a number from 0"},
        Refused{"negative", "[train]\nseed = -5\n", "2:1: ", "is -5; allowed"},
        Refused{"unknown_choice", "[loader]\ncache = 'ghm'\n", "2:1: ", "nearest first: shm"},
        Refused{"not_utf8", "[run]\nname = '\xff'\n", "2:", ""},
        Refused{"binary",
                std::string("\x7f"
                            "ELF\0\1",
                            6),
                "1:", ""},
        Refused{"nul", "[run]\nname = \"a\\u0000b\"\n", "2:1: ", "text without NUL"},
        Refused{"deep_list", "[data.synthetic]\nshape = " + std::string(100'000, '['), "2:", "depth"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(ConfigFile, DeeplyNestedKeysAreRefusedBeforeTheyExhaustTheStack) {
  std::string keys = "[a";
  for (int i = 0; i < 400'000; ++i) keys += ".a";
  EXPECT_THAT(refusal(keys + "]\nx = 1\n"), HasSubstr("400000 dots"));
}

TEST(ConfigFile, DotsOfAnEllipsisNestNothing) {
  EXPECT_EQ(read("# " + std::string(3'000, '.') + "\ntrain.epochs = 3\n").train.epochs, 3);
}

TEST(Differences, OfAComponentCountIfBothConfigurationsSelectIt) {
  const Config synthetic = configured("--data.name synthetic --data.synthetic.samples 7");
  const auto keys_of = [](const std::vector<Difference>& found) {
    std::vector<std::string> keys;
    for (const Difference& one : found) keys.push_back(one.key);
    return keys;
  };
  EXPECT_THAT(keys_of(differences(configured(""), synthetic)), ElementsAre("data.name"));
  EXPECT_THAT(keys_of(differences(synthetic, configured("--data.synthetic.samples 8", synthetic))),
              ElementsAre("data.synthetic.samples"));
}

TEST(ConfigFile, EmptySectionChangesNothing) {
  EXPECT_THAT(differences(Config{}, read("[loader]\n[train]\n")), IsEmpty());
}

TEST(ConfigFile, RefusesWhatIsNoRegularFile) {
  const TempDir dir;
  Config config;
  const auto refused = [&](const std::string& path) {
    return error_of<UsageError>([&] { read_config_file(path, config); });
  };
  EXPECT_THAT(refused(""), HasSubstr("No such file"));
  EXPECT_THAT(refused(dir / "missing.toml"), HasSubstr("missing.toml"));
  EXPECT_THAT(refused(dir / ""), HasSubstr("folder"));
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(refused(dir / "pipe"), HasSubstr("pipe"));
  EXPECT_THAT(refused(dir.write("large.toml", std::string((1 << 20) + 1, '#'))), HasSubstr("large.toml"));
}

TEST(ConfigFile, ReadsSettingsOfTheSelectedComponentInEveryForm) {
  for (const char* text : {"[data]\nname = 'synthetic'\n[data.synthetic]\nsamples = 7\n",
                           "[data]\nname = 'synthetic'\nsynthetic.samples = 7\n",
                           "data.synthetic = { samples = 7 }\ndata.name = 'synthetic'\n"}) {
    EXPECT_EQ(setting_value<std::int64_t>(read(text), "data.synthetic.samples"), 7) << text;
  }
}

class RandomSettings {
 public:
  explicit RandomSettings(std::uint64_t seed) : random_(seed) {}

  void fill(Config& config) {
    for (const Setting& setting : settings_in(config)) {
      std::visit([&](const auto& field) { draw(field, setting.allowed); }, setting.field);
    }
  }

 private:
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }

  // Few random values are valid, so values that assign() refuses are drawn again.
  template <typename T>
  void draw(T* target, const Allowed& allowed) {
    const SettingField field(target);
    for (int i = 0; i < 200; ++i) {
      Value value;
      if constexpr (std::is_same_v<T, bool>) {
        value.of = below(2) == 0;
      } else if constexpr (std::is_same_v<T, double>) {
        const double bits = std::bit_cast<double>(random_());
        value.of = below(2) == 0 ? bits : std::ldexp(bits, -static_cast<int>(below(900)));
      } else {
        value.of = static_cast<std::int64_t>(random_() >> below(64));
      }
      if (assign(field, allowed, value).empty()) return;
    }
  }
  void draw(const EnumField& field, const Allowed& /*allowed*/) {
    *field.value = static_cast<unsigned char>(below(field.words.size()));
  }
  void draw(std::string* target, const Allowed& allowed) {
    *target = allowed.hint.starts_with("auto|") ? "cuda:3" : text();
  }
  void draw(std::vector<std::string>* target, const Allowed& /*allowed*/) {
    target->resize(below(4));
    for (std::string& item : *target) item = text();
  }
  void draw(std::vector<std::int64_t>* target, const Allowed& allowed) {
    target->resize(allowed.items);
    for (std::int64_t& item : *target) item = 1 + static_cast<std::int64_t>(below(65'536));
  }

  std::string text() {
    static const std::vector<std::string> hostile = {"\"",
                                                     "'",
                                                     "\\",
                                                     "\n",
                                                     "\r",
                                                     "\r\n",
                                                     "\t",
                                                     "#",
                                                     "=",
                                                     "[",
                                                     "]",
                                                     "{",
                                                     "}",
                                                     ",",
                                                     "\"\"\"",
                                                     "'''",
                                                     "\\u0041",
                                                     "\x01",
                                                     "\x1b[31m",
                                                     "\x7f",
                                                     "\xc2\x80",
                                                     "\xc3\xa9",
                                                     "\xe2\x80\xae",
                                                     "\xef\xbb\xbf",
                                                     "\xef\xbf\xbe",
                                                     "\xf0\x9f\x98\x80",
                                                     "\xf4\x8f\xbf\xbf",
                                                     " ",
                                                     "  ",
                                                     "a",
                                                     "/",
                                                     ".",
                                                     "[model]\n",
                                                     "true",
                                                     "nan"};
    std::string result;
    for (std::size_t i = below(12); i > 0; --i) result += hostile[below(hostile.size())];
    return result;
  }

  std::mt19937_64 random_;
};

TEST(ToToml, ReadsBackExactlyWithHostileValues) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Config config;
    RandomSettings(seed).fill(config);
    config.data.name = "synthetic";
    config.model.name = "mixer";
    const std::string text = to_toml(config);
    Config read_back = config_from_toml(text, "test");
    ASSERT_THAT(differences(config, read_back), IsEmpty()) << text;
    ASSERT_EQ(read_back.transform.train, config.transform.train) << text;
    ASSERT_EQ(read_back.run.name, config.run.name) << text;
    ASSERT_EQ(read_back.optimizer.lr, config.optimizer.lr) << text;
    ASSERT_EQ(read_back.train.seed, config.train.seed) << text;
    ASSERT_EQ(setting_value<std::string>(read_back, "model.mixer.words"),
              setting_value<std::string>(config, "model.mixer.words"))
        << text;
  }
}

TEST(ToToml, DefaultsReadBackTheSame) {
  const std::string text = to_toml(Config{});
  EXPECT_EQ(to_toml(config_from_toml(text, "test")), text);
}

TEST(ToToml, EmptiedListReadsBackEmpty) {
  Config config;
  config.transform.train = {};
  EXPECT_THAT(to_toml(config), HasSubstr("train = []"));
}

TEST(ToToml, LargestSeedIsKeptAndALargerOneRefused) {
  Config config;
  config.train.seed = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(config_from_toml(to_toml(config), "test").train.seed, config.train.seed);
  config.train.seed += 1;
  EXPECT_THAT(error_of<UsageError>([&] { to_toml(config); }), HasSubstr("[train.seed] is '9223372036854775808'"));
}

TEST(ToToml, TextThatIsNotUtf8IsRefusedWithItsKey) {
  Config config;
  config.data.root = "/data/caf\xe9";
  EXPECT_THAT(error_of<UsageError>([&] { to_toml(config); }), AllOf(HasSubstr("[data.root]"), HasSubstr("caf\\xe9")));
}

}  // namespace
}  // namespace trainyard
