#include "datasets/token_windows.h"

#include <map>

#include <gmock/gmock.h>

#include "datasets/splits.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/temp_dir.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<std::int32_t> tokens_of(const Dataset& dataset, std::size_t index, std::uint64_t epoch = 0) {
  Sample sample;
  read_sample(dataset, index, sample, RandomStream(key_of({epoch, index})));
  const std::span<std::int32_t> tokens = sample.elements_as<std::int32_t>(0);
  return {tokens.begin(), tokens.end()};
}

/// Texts whose bytes count up.
class TextWindows : public testing::Test {
 protected:
  static std::string counting(std::size_t bytes, int first = 1) {
    std::string text;
    for (std::size_t i = 0; i < bytes; ++i)
      text += static_cast<char>(1 + (static_cast<std::size_t>(first) - 1 + i) % 250);
    return text;
  }

  DataConfig config(const std::string& flags = "") const {
    DataConfig data = configured("--data.name text --data.text.context 8 " + flags).data;
    data.root = dir_ / "text";
    return data;
  }

  TempDir dir_;
};

TEST_F(TextWindows, EachHeldOutByteIsTheTargetOfOneWindow) {
  dir_.write("text", counting(203));
  for (const char* flags : {"--data.val 0.2 --data.text.test 0.1", "--data.val 3", "--data.val 0.1"}) {
    const std::vector<SplitDataset> splits = make_splits(config(flags));
    std::uint64_t begin = 0;
    for (std::size_t split = splits.size() - 1; split > 0; --split) {
      const Dataset& dataset = *splits[split].dataset;
      std::vector<std::int32_t> targets;
      for (std::size_t i = 0; i < dataset.size(); ++i) {
        const std::vector<std::int32_t> tokens = tokens_of(dataset, i);
        ASSERT_EQ(tokens.size(), 9u);
        for (std::size_t place = 1; place < tokens.size(); ++place) {
          if (tokens[place] == TokenWindows::ignored_token) continue;
          EXPECT_EQ(tokens[place], tokens[place - 1] + 1) << "the byte before is the input";
          targets.push_back(tokens[place]);
        }
      }
      const std::uint64_t end = split + 1 == splits.size() ? 203 : begin;
      begin = end - targets.size();
      for (std::size_t i = 0; i < targets.size(); ++i) EXPECT_EQ(targets[i], static_cast<std::int32_t>(begin + i + 1));
    }
    EXPECT_TRUE(splits[1].from_train);
    EXPECT_FALSE(splits[0].dataset->is_deterministic());
    EXPECT_TRUE(splits[1].dataset->is_deterministic());
    const std::size_t train = splits[0].dataset->size();
    EXPECT_EQ(train, begin / 8) << "what is not held out";
    for (std::size_t i = 0; i < train; ++i) {
      for (const std::int32_t token : tokens_of(*splits[0].dataset, i)) EXPECT_LE(token, static_cast<int>(begin));
    }
  }
}

TEST_F(TextWindows, TrainingWindowsAreAFunctionOfTheStreamAndReachEveryPlace) {
  dir_.write("text", counting(60));
  const auto train = make_dataset(config("--data.val 0.5"), Split::train);  // 30 bytes: windows start at 0 to 21
  std::map<std::int32_t, int> begins;
  for (std::uint64_t epoch = 0; epoch < 1'000; ++epoch) {
    const std::vector<std::int32_t> tokens = tokens_of(*train, 0, epoch);
    EXPECT_EQ(tokens, tokens_of(*train, 0, epoch));
    ++begins[tokens[0]];
  }
  EXPECT_EQ(begins.size(), 22u);
  EXPECT_EQ(begins.begin()->first, 1);
}

TEST_F(TextWindows, AFolderIsReadInTheOrderOfItsPaths) {
  dir_.write("text/b/one", counting(40, 41));
  dir_.write("text/a", counting(40));
  dir_.write("text/c.dat", std::string("\0binary", 7));
  dir_.write("text/a.dat", std::string("\0index", 6));
  dir_.write("text/.hidden", "x");
  std::filesystem::create_symlink(dir_ / "text/a", dir_ / "text/d");
  const auto val = make_dataset(config("--data.val 0.75"), Split::val);
  EXPECT_THAT(tokens_of(*val, 0), ElementsAre(20, 21, 22, 23, 24, 25, 26, 27, 28));
  EXPECT_THAT(tokens_of(*val, 2), ElementsAre(36, 37, 38, 39, 40, 41, 42, 43, 44)) << "over the end of a file";
  EXPECT_EQ(list_left_out(val->left_out()), "not text: 1 (c.dat)");
  for (const LeftOut& one : val->left_out()) {
    if (one.reason != unneeded_reason) continue;
    EXPECT_THAT(one.first, ElementsAre("a.dat", "d")) << "an index, and a second name";
  }
}

TEST_F(TextWindows, ATrainFileHasItsOwnSplitsBesideIt) {
  dir_.write("text/train.txt", counting(50));
  EXPECT_TRUE(make_splits(config())[1].from_train);
  dir_.write("text/val.txt", counting(30, 101));
  const std::vector<SplitDataset> splits = make_splits(config());
  ASSERT_EQ(splits.size(), 2u);
  EXPECT_FALSE(splits[1].from_train);
  EXPECT_EQ(splits[0].dataset->size(), 6u) << "50 / 8: nothing is held out";
  EXPECT_THAT(tokens_of(*splits[1].dataset, 0), ElementsAre(101, 102, 103, 104, 105, 106, 107, 108, 109));
  EXPECT_EQ(splits[1].dataset->size(), 4u) << "29 targets";
  EXPECT_THAT(tokens_of(*splits[1].dataset, 3), ElementsAre(125, 126, 127, 128, 129, 130, -1, -1, -1));
  dir_.write("text/test.txt", counting(20));
  EXPECT_EQ(make_splits(config()).size(), 3u);
}

TEST_F(TextWindows, SaysWhatIsMissingOrTooShort) {
  EXPECT_THAT(error_of<UsageError>([&] { make_splits(config()); }), HasSubstr("there is no file or folder"));
  dir_.write("text", "short");
  EXPECT_THAT(error_of<UsageError>([&] { make_splits(config("--data.val 0.01")); }),
              HasSubstr("[data.val] takes 0 of 5 tokens for val"));
  dir_.write("text", "short, too");
  EXPECT_THAT(error_of<UsageError>([&] { make_dataset(config("--data.val 0.5"), Split::train); }),
              AllOf(HasSubstr("data.text.context"), HasSubstr("8 + 1 tokens do not fit into 5 tokens")));
  dir_.write("text", "");
  EXPECT_THAT(error_of<UsageError>([&] { make_splits(config()); }), HasSubstr("holds no text"));
}

TEST_F(TextWindows, RefuseAFileThatIsNotText) {
  const auto refused = [&](const std::string& name, const std::string& content) {
    dir_.write(name, content + counting(60));
    return error_of<UsageError>([&] { make_splits(config()); });
  };
  const std::string path = dir_ / "text";
  EXPECT_EQ(refused("text", std::string("\0binary", 7)),
            "[data.root] " + path +
                " is not text: it has a NUL byte in its first 4 KiB; save it as UTF-8, or give another file");
  EXPECT_EQ(refused("text", "\x1f\x8b\x08"),
            "[data.root] " + path + " is not text but compressed by gzip: decompress it");
  EXPECT_THAT(refused("text", "\x28\xb5\x2f\xfd"), HasSubstr("compressed by zstd"));
  EXPECT_THAT(refused("text", "\xfd\x37zXZ"), HasSubstr("compressed by xz"));
  EXPECT_THAT(refused("text", "BZh91AY&SY"), HasSubstr("compressed by bzip2"));
  EXPECT_THAT(refused("text", "PK\x03\x04"), HasSubstr("compressed by zip"));
  std::filesystem::remove(path);
  EXPECT_THAT(refused("text/train.txt", "PK\x03\x04"), HasSubstr("train.txt is not text but compressed by zip"));
  dir_.write("text/train.txt", "BZh" + counting(60));
  EXPECT_EQ(make_splits(config()).size(), 2u) << "text";
}

/// Files in the formats of nanoGPT and llm.c.
class TokenFiles : public testing::Test {
 protected:
  template <typename T>
  static std::string bytes_of(const std::vector<T>& values) {
    return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
  }
  template <typename T>
  static std::string llmc(std::int32_t magic, std::int32_t version, const std::vector<T>& tokens) {
    std::vector<std::int32_t> header(256);
    header[0] = magic;
    header[1] = version;
    header[2] = static_cast<std::int32_t>(tokens.size());
    return bytes_of(header) + bytes_of(tokens);
  }

  DataConfig config(const std::string& flags = "") const {
    DataConfig data = configured("--data.name tokens --data.tokens.context 3 " + flags).data;
    data.root = dir_.path();
    return data;
  }

  TempDir dir_;
};

TEST_F(TokenFiles, ReadsNanoGptFiles) {
  dir_.write("train.bin", bytes_of<std::uint16_t>({1, 2, 3, 4, 5, 6}));
  dir_.write("val.bin", bytes_of<std::uint16_t>({50'256, 300, 7, 8, 9}));
  EXPECT_THAT(error_of<UsageError>([&] { make_dataset(config(), Split::train); }),
              AllOf(HasSubstr("data.tokens.vocabulary"), HasSubstr("50257")));
  const auto val = make_dataset(config("--data.tokens.vocabulary 50257"), Split::val);
  EXPECT_THAT(tokens_of(*val, 0), ElementsAre(50'256, 300, 7, 8));
  EXPECT_THAT(tokens_of(*val, 1), ElementsAre(8, 9, -1, -1));
  EXPECT_EQ(val->fields()[0].values, (ValueRange{50'257, -1}));
  EXPECT_FALSE(val->is_taken_from_train());
  EXPECT_EQ(make_dataset(config("--data.tokens.vocabulary 50257"), Split::test), nullptr);
}

TEST_F(TokenFiles, ReadsShardsOfLlmc) {
  dir_.write("web_train_000001.bin", llmc<std::uint16_t>(20240520, 1, {1, 2, 3}));
  dir_.write("web_train_000002.bin", llmc<std::uint16_t>(20240520, 1, {4, 5, 6, 7, 8}));
  const DataConfig data = config("--data.val 0.5");
  const std::vector<SplitDataset> splits = make_splits(data);
  EXPECT_TRUE(splits[1].from_train);
  EXPECT_THAT(tokens_of(*splits[1].dataset, 0), ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(tokens_of(*splits[0].dataset, 0), ElementsAre(1, 2, 3, 4)) << "over two files";
  EXPECT_EQ(splits[0].dataset->fields()[0].values, (ValueRange{50'257, -1}));
}

TEST_F(TokenFiles, ReadsFourBytes) {
  dir_.write("train.bin", llmc<std::uint32_t>(20240801, 7, {100'000, 1, 2, 3, 4, 5, 6, 7}));
  const auto train = make_dataset(config("--data.val 0.5"), Split::train);
  EXPECT_THAT(tokens_of(*train, 0), ElementsAre(100'000, 1, 2, 3));
  dir_.write("train.bin", bytes_of<std::uint32_t>({9, 8, 7, 6, 5, 4, 3, 70'000}));
  const auto val =
      make_dataset(config("--data.val 0.5 --data.tokens.type uint32 --data.tokens.vocabulary 70001"), Split::val);
  EXPECT_THAT(tokens_of(*val, 0), ElementsAre(6, 5, 4, 3));
  EXPECT_THAT(tokens_of(*val, 1), ElementsAre(3, 70'000, -1, -1));
}

TEST_F(TokenFiles, NamesTheFirstTokenOutsideTheVocabulary) {
  const auto refused = [&](const std::string& flags, Split split = Split::train) {
    return error_of<RunError>([&] { make_dataset(config(flags), split); });
  };
  std::vector<std::uint16_t> tokens(1'000, 99);
  tokens[900] = 100;
  tokens[950] = 101;
  dir_.write("train.bin", bytes_of(tokens));
  dir_.write("val.bin", bytes_of(std::vector<std::uint16_t>(20, 99)));
  const std::string expected = "train.bin: token 900, counted from 0, is 100; allowed: 0 to 99:";
  EXPECT_THAT(refused("--data.tokens.vocabulary 100"), HasSubstr(expected));
  EXPECT_NE(make_dataset(config("--data.tokens.vocabulary 100"), Split::val), nullptr) << "val has none";
  EXPECT_NE(make_dataset(config("--data.tokens.vocabulary 102"), Split::train), nullptr);
  EXPECT_NE(make_dataset(config("--data.tokens.vocabulary 65536"), Split::train), nullptr) << "each uint16 is allowed";

  std::vector<std::uint32_t> wide(20, 1);
  wide[19] = 4'000'000'000;  // negative as int32
  dir_.write("val.bin", bytes_of(wide));
  EXPECT_THAT(refused("--data.tokens.type uint32 --data.tokens.vocabulary 100", Split::val),
              AllOf(HasSubstr("token 19, counted from 0, is 4000000000;"), Not(HasSubstr("-1"))));

  dir_.write("train.bin", llmc<std::uint16_t>(20240520, 1, {1, 2, 50'257, 4}));
  EXPECT_THAT(refused(""), HasSubstr("token 2, counted from 0, is 50257; allowed: 0 to 50256:"));
}

TEST_F(TokenFiles, EachPartOfADividedFileIsReadOnce) {
  std::vector<std::uint16_t> tokens(1'000, 9);
  tokens[10] = 70;
  tokens[990] = 80;
  dir_.write("train.bin", bytes_of(tokens));
  const auto refused = [&](const std::string& vocabulary, Split split) {
    return error_of<RunError>(
        [&] { make_dataset(config("--data.val 0.5 --data.tokens.vocabulary " + vocabulary), split); });
  };
  EXPECT_THAT(refused("70", Split::train), HasSubstr("train.bin: token 10, "));
  EXPECT_THAT(refused("70", Split::val), HasSubstr("train.bin: token 990, "));
  EXPECT_NE(make_dataset(config("--data.val 0.5 --data.tokens.vocabulary 71"), Split::train), nullptr);
  tokens[990] = 9;
  tokens[499] = 80;  // the input of the first token of val
  dir_.write("train.bin", bytes_of(tokens));
  EXPECT_THAT(refused("71", Split::val), HasSubstr("train.bin: token 499, "));
}

TEST_F(TokenFiles, NamesWhatIsMissingOrHasAnotherSize) {
  EXPECT_THAT(error_of<UsageError>([&] { make_dataset(config(), Split::train); }), HasSubstr("has no train.bin"));
  const auto refused = [&](const std::string& content, const std::string& flags = "") {
    dir_.write("train.bin", content);
    return error_of<RunError>([&] { make_dataset(config(flags), Split::train); });
  };
  const std::string whole = llmc<std::uint16_t>(20240520, 1, {1, 2, 3, 4, 5});
  for (const std::size_t bytes : {whole.size() - 2, whole.size() - 1, std::size_t{1000}}) {
    EXPECT_THAT(refused(whole.substr(0, bytes)),
                AllOf(HasSubstr("train.bin: its header says 5 tokens, 1034 bytes in all, and it has "),
                      HasSubstr(fmt::format("has {}: it has been cut off", bytes))));
  }
  for (const std::size_t more : {1, 2}) {
    EXPECT_THAT(refused(whole + std::string(more, '\0')), HasSubstr("it is longer than its header says"));
  }
  EXPECT_THAT(refused(llmc<std::uint16_t>(20240520, 2, {1, 2, 3, 4, 5})), HasSubstr("version 2"));

  const std::string odd(12'001, '\0');
  EXPECT_THAT(refused(odd, "--data.tokens.vocabulary 9"),
              HasSubstr("train.bin has 12001 bytes, no multiple of 2: it has been cut off, or data.tokens.type is "
                        "another"));
  EXPECT_THAT(refused(odd, "--data.tokens.vocabulary 9 --data.tokens.type uint32"), HasSubstr("no multiple of 4"));
}

TEST_F(TokenFiles, NamesAFileThatIsEmpty) {
  const std::string flags = "--data.tokens.vocabulary 9";
  dir_.write("train.bin", bytes_of(std::vector<std::uint16_t>(20, 1)));
  for (const std::string& empty : {std::string(), llmc<std::uint16_t>(20240520, 1, {})}) {
    dir_.write("val.bin", empty);
    EXPECT_THAT(error_of<RunError>([&] { make_dataset(config(flags), Split::val); }),
                HasSubstr("val.bin is empty: it has no token"));
  }
}

}  // namespace
}  // namespace trainyard
