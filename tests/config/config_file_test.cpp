#include "config/config_file.h"

#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "config/settings.h"
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
      "shape = [\r\n  28,\r\n  14,  # width\r\n  1,\r\n]\r\n"
      "[transform]\r\n"
      "train = [\r\n  'random_crop(padding=4)',\r\n  \"random_horizontal_flip\",\r\n]\r\n"
      "test = []\r\n");
  EXPECT_EQ(config.train.seed, 31u);
  EXPECT_EQ(config.train.epochs, 10);
  EXPECT_EQ(config.optimizer.name, "adamw");
  EXPECT_EQ(config.optimizer.lr, 1);
  EXPECT_EQ(config.data.root, "/a#b");
  EXPECT_THAT(config.data.shape, ElementsAre(28, 14, 1));
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
        Refused{"section_within_a_section", "[model.name]\nx = 1\n", "1:8: ", "model.name is a table"},
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
        Refused{"list_in_a_list", "[data]\nshape = [1, [2], 3]\n", "2:1: ", "item 2, which is a list"},
        Refused{"too_short_a_list", "[data]\nshape = [28, 28]\n", "2:1: ", "is [28, 28]; allowed: a list of 3"},
        Refused{"list_for_a_number", "[train]\nepochs = [1]\n", "2:1: ", "is [1]; allowed: a whole number"},
        Refused{"date", "[run]\nname = 2024-01-01\n", "2:1: ", "is a date or a time"},
        Refused{"beyond_64_bits", "[train]\nseed = 9223372036854775808\n", "2:", ""},
        Refused{"beyond_32_bits", "[train]\nepochs = 4294967297\n", "2:1: ", "is 4294967297; allowed"},
        Refused{"nan", "[optimizer]\nlr = nan\n", "2:1: ", "is nan; allowed: a number from 0"},
        Refused{"infinity", "[optimizer]\nlr = inf\n", "2:1: ", "is inf; allowed: a number from 0"},
        Refused{"negative", "[train]\nseed = -5\n", "2:1: ", "is -5; allowed"},
        Refused{"unknown_choice", "[schedule]\nname = 'cosin'\n", "2:1: ", "nearest first: cosine"},
        Refused{"not_utf8", "[run]\nname = '\xff'\n", "2:", ""},
        Refused{"binary",
                std::string("\x7f"
                            "ELF\0\1",
                            6),
                "1:", ""},
        Refused{"nul", "[run]\nname = \"a\\u0000b\"\n", "2:1: ", "text without NUL"},
        Refused{"deep_list", "[data]\nshape = " + std::string(100'000, '['), "2:", "depth"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST(ConfigFile, DeeplyNestedKeysAreRefusedBeforeTheyExhaustTheStack) {
  std::string keys = "[a";
  for (int i = 0; i < 400'000; ++i) keys += ".a";
  EXPECT_THAT(refusal(keys + "]\nx = 1\n"), HasSubstr("400000 dots"));
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
  EXPECT_THAT(refused(dir / "missing.toml"), HasSubstr("missing.toml"));
  EXPECT_THAT(refused(dir / ""), HasSubstr("folder"));
  ASSERT_EQ(mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(refused(dir / "pipe"), HasSubstr("pipe"));
  EXPECT_THAT(refused(dir.write("large.toml", std::string((1 << 20) + 1, '#'))), HasSubstr("large.toml"));
}

// As written before every text was escaped and before empty lists were written.
TEST(ConfigFile, ReadsWhatEarlierVersionsWrote) {
  const Config config = read(
      "[model]\nname = \"resnet18\"\nstem = \"small\"\npatch_size = 16\nweights = \"\"\nreset_head = false\n\n"
      "[data]\nname = \"fashion_mnist\"\nroot = \"/data/#1 of two\"\nchannels = 3\nshape = [32, 32, 3]\n"
      "samples = 10000\nclasses = 10\n\n"
      "[transform]\ntrain = [\"random_crop(padding=2)\", \"random_horizontal_flip\"]\ndecode = \"exact\"\n\n"
      "[loader]\nworkers = 8\nbatch_size = 256\nprefetch = 8\ntimeout = 60\ncache = \"none\"\ncache_name = \"\"\n"
      "on_worker_error = \"stop\"\n\n"
      "[optimizer]\nname = \"sgd\"\nlr = 0.30000000000000004\nmomentum = 0.9\nnesterov = true\nweight_decay = 0.0005\n"
      "decay_bias_norm = false\nbeta1 = 0.9\nbeta2 = 0.999\neps = 1e-08\n\n"
      "[schedule]\nname = \"cosine\"\nwarmup_epochs = 2\nstep_epochs = 30\ngamma = 0.1\npct_start = 0.3\n"
      "div_factor = 25\nfinal_div_factor = 10000\n\n"
      "[train]\nepochs = 40\ndevice = \"auto\"\nprecision = \"bf16\"\nseed = 9007199254740991\nlabel_smoothing = 0.1\n"
      "mixup = 0\ncutmix = 0\naccumulate = 1\nclip_grad_norm = 0\nema_decay = 0.998\non_nonfinite = \"stop\"\n"
      "deterministic = false\ncuda_graph = true\nthreads = 0\nlog_every = 50\n\n"
      "[checkpoint]\nevery_steps = 0\nkeep = 2\nkeep_best = true\n\n"
      "[run]\ndir = \"runs\"\nname = \"a name with spaces\"\nresume = \"auto\"\n");
  EXPECT_EQ(config.data.root, "/data/#1 of two");
  EXPECT_EQ(config.optimizer.lr, 0.1 + 0.2);
  EXPECT_EQ(config.optimizer.eps, 1e-8);
  EXPECT_EQ(config.loader.timeout, 60);
  EXPECT_EQ(config.schedule.final_div_factor, 1e4);
  EXPECT_EQ(config.train.seed, 9'007'199'254'740'991u);
  EXPECT_THAT(config.transform.train, ElementsAre("random_crop(padding=2)", "random_horizontal_flip"));
  EXPECT_THAT(config.transform.test, IsEmpty());
}

class RandomSettings {
 public:
  explicit RandomSettings(std::uint64_t seed) : random_(seed) {}

  void fill(Config& config) {
    for (const Setting& setting : settings_in(config)) {
      std::visit([&](auto* target) { draw(*target, setting.allowed); }, setting.field);
    }
  }

 private:
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }

  // Right values are few among random ones: what assign() refuses is drawn again.
  template <typename T>
  void draw(T& target, const Allowed& allowed) {
    Field field(&target);
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
  void draw(std::string& target, const Allowed& allowed) {
    target = text();
    if (!allowed.choices.empty()) target = allowed.choices[below(allowed.choices.size())];
    if (allowed.hint.starts_with("auto|")) target = "cuda:3";
  }
  void draw(std::vector<std::string>& target, const Allowed& /*allowed*/) {
    target.resize(below(4));
    for (std::string& item : target) item = text();
  }
  void draw(std::vector<std::int64_t>& target, const Allowed& allowed) {
    target.resize(allowed.items);
    for (std::int64_t& item : target) item = 1 + static_cast<std::int64_t>(below(65'536));
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
    const std::string text = to_toml(config);
    Config read_back = config_from_toml(text, "test");
    ASSERT_THAT(differences(config, read_back), IsEmpty()) << text;
    ASSERT_EQ(read_back.transform.train, config.transform.train) << text;
    ASSERT_EQ(read_back.run.name, config.run.name) << text;
    ASSERT_EQ(read_back.optimizer.lr, config.optimizer.lr) << text;
    ASSERT_EQ(read_back.train.seed, config.train.seed) << text;
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
