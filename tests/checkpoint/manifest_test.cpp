#include "checkpoint/manifest.h"

#include <cmath>

#include <gmock/gmock.h>

#include "checkpoint/manifest_example.h"
#include "checkpoint/manifest_rules.h"
#include "checkpoint/test_folder.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

Manifest example() {
  Manifest manifest;
  manifest.step = 1170;
  manifest.epoch = 3;
  manifest.batch = 7;
  manifest.ended = RunEnd::signal;
  manifest.signal = 15;
  manifest.trainyard_version = "1.2.3";
  manifest.task = "classification";
  manifest.model = "resnet18";
  manifest.dataset = "fashion_mnist";
  manifest.dataset_fingerprint = 0xfedcba9876543210;
  manifest.class_names = {"T-shirt", "caf\u00e9 \"quoted\""};
  manifest.fields = {{.name = "image", .shape = {28, 28, 1}, .is_stored_image = true},
                     {.name = "label", .dtype = DType::int64, .values = ValueRange{.count = 2}},
                     {.name = "tokens",
                      .dtype = DType::int32,
                      .shape = {77},
                      .varies = true,
                      .values = ValueRange{.count = 256, .ignored = -1}},
                     {.name = "target",
                      .dtype = DType::float32,
                      .shape = {1},
                      .columns = {{.name = "price", .mean = 1.0 / 3, .std = 0.7}}},
                     {.name = "categorical",
                      .dtype = DType::int64,
                      .shape = {1},
                      .values = ValueRange{.count = 3},
                      .columns = {{.name = "kind", .categories = {"caf\u00e9", ""}}}}};
  manifest.class_counts = {27'000, 26'999};
  manifest.channel_mean = {0.2860402f};
  manifest.channel_std = {0.3530242f};
  manifest.val = {
      .samples = 6000, .share = 0.1, .from_train = true, .fingerprint = 0x0123456789abcdef, .image_size = {32, 40}};
  manifest.best = {
      .epoch = 2, .monitor = "val/accuracy", .metrics = {{"val/accuracy", 0.1 + 0.2}, {"val/loss", HUGE_VAL}}};
  manifest.history = {1.0 / 3, 0.1 + 0.2, -HUGE_VAL};
  manifest.window = {.seconds = 1.5, .waited = 0.25};
  manifest.config = "[model]\nname = \"resnet18\"\n";
  manifest.files = {{"model.safetensors", {123, 0xdeadbeef}}, {"state.safetensors", {1ull << 40, 0x00000001}}};
  return manifest;
}

std::string error_of(const std::string& text) {
  return message_of<RunError>([&] { parse_manifest(text, "m.json"); });
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

TEST(Manifest, ReadsBackEveryValueExactly) { EXPECT_EQ(parse_manifest(to_json(example()), "m.json"), example()); }

TEST(Manifest, TheHistoryMayHaveEpochsThatCannotBeTheBest) {
  Manifest manifest = example();
  manifest.history = {std::nan("")};
  const std::vector<double> read = parse_manifest(to_json(manifest), "m.json").history;
  ASSERT_EQ(read.size(), 1u);
  EXPECT_TRUE(std::isnan(read[0]));
}

TEST(Manifest, WithoutAHistoryIsAsEarlierProgramsWroteIt) {
  nlohmann::json json = nlohmann::json::parse(to_json(example()));
  json.erase("history");
  EXPECT_THAT(parse_manifest(sealed(json), "m.json").history, testing::IsEmpty());
}

TEST(Manifest, WithoutTheSizeOfValsImagesIsAsEarlierProgramsWroteIt) {
  nlohmann::json json = nlohmann::json::parse(to_json(example()));
  json["val"].erase("image_size");
  EXPECT_THAT(parse_manifest(sealed(json), "m.json").val.image_size, testing::IsEmpty());
}

TEST(Manifest, ATextThatIsNotUtf8IsNamed) {
  Manifest manifest = example();
  manifest.class_names = {"tea", "caf\xe9"};
  EXPECT_THAT(message_of<RunError>([&] { to_json(manifest); }), HasSubstr(R"(the class 'caf\xe9' is not UTF-8)"));
  manifest = example();
  manifest.config = "[data]\nname = \"a\"\nroot = \"caf\xe9\"\n";
  EXPECT_THAT(message_of<RunError>([&] { to_json(manifest); }),
              HasSubstr(R"(the setting 'root = "caf\xe9"' is not UTF-8)"));
}

TEST(Manifest, EveryFlippedBitIsRefusedOrChangesNothing) {
  const std::string text = to_json(example());
  int refused = 0;
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    std::string damaged = text;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    try {
      ASSERT_EQ(parse_manifest(damaged, "m.json"), example()) << damaged;
    } catch (const RunError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, static_cast<int>(6 * text.size()));
}

TEST(Manifest, EveryTruncationIsRefused) {
  const std::string text = to_json(example());
  for (std::size_t size = 0; size + 2 <= text.size(); ++size) EXPECT_NE(error_of(text.substr(0, size)), "") << size;
}

TEST(Manifest, DamageIsNamedWithBothChecksums) {
  const std::string damaged = replaced(to_json(example()), "1170", "1171");
  EXPECT_THAT(error_of(damaged), testing::AllOf(HasSubstr("m.json"), HasSubstr("CRC-32"), HasSubstr("it says")));
}

TEST(Manifest, OtherJsonIsNotAManifest) {
  EXPECT_THAT(error_of("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_of("{}"), HasSubstr("'format'"));
  EXPECT_THAT(error_of(R"({"format":"other"})"), HasSubstr("not the manifest"));
}

// Returns example() with one value changed and a correct checksum.
std::string changed(const std::string& pointer, const nlohmann::json& value) {
  nlohmann::json json = nlohmann::json::parse(to_json(example()));
  json[nlohmann::json::json_pointer(pointer)] = value;
  return sealed(json);
}

TEST(Manifest, AnotherFormatVersionIsAUsageErrorThatNamesBoth) {
  const std::string text = changed("/format_version", 3);
  EXPECT_THAT(message_of<UsageError>([&] { parse_manifest(text, "m.json"); }),
              testing::AllOf(HasSubstr("version 3"), HasSubstr("1.2.3"), HasSubstr("version 2")));
}

TEST(Manifest, OfVersion1IsRefusedWithWhatStillWorks) {
  const std::string text = changed("/format_version", 1);
  EXPECT_THAT(message_of<UsageError>([&] { parse_manifest(text, "m.json"); }),
              testing::AllOf(HasSubstr("format version 1"), HasSubstr("1.2.3"), HasSubstr("--model.weights"),
                             HasSubstr("model.safetensors")));
}

TEST(Manifest, VersionOfTheWriterIsShownSafely) {
  nlohmann::json json = nlohmann::json::parse(changed("/format_version", 3));
  json["trainyard_version"] = "9\x1b[31m" + std::string(100'000, 'v');
  const std::string message = message_of<UsageError>([&] { parse_manifest(sealed(json), "m.json"); });
  EXPECT_LT(message.size(), 1000u);
  EXPECT_THAT(message, testing::Not(HasSubstr("\x1b")));
}

TEST(Manifest, ValuesOutOfRangeAreRefusedByKeyBehindARightChecksum) {
  const auto refusal = [](const std::string& pointer, const nlohmann::json& value) {
    return error_of(changed(pointer, value));
  };
  EXPECT_THAT(refusal("/step", -1), HasSubstr("'step'"));
  EXPECT_THAT(refusal("/step", 1e300), HasSubstr("'step'"));
  EXPECT_THAT(refusal("/step", 18446744073709551615u), HasSubstr("'step'"));
  EXPECT_THAT(refusal("/step", 2), HasSubstr("'step' is 2; 3 epochs and 7 batches take at least 4"));
  EXPECT_THAT(refusal("/model", nullptr), HasSubstr("'model'"));
  EXPECT_THAT(refusal("/model", ""), HasSubstr("'model' has 0 bytes"));
  EXPECT_THAT(refusal("/config", std::string(2 << 20, ' ')), HasSubstr("'config'"));
  EXPECT_THAT(refusal("/files/..~1x", {{"bytes", 1}, {"crc32", "0"}}), HasSubstr("'files'"));
  EXPECT_THAT(refusal("/files/model.safetensors/crc32", "1deadbeef"), HasSubstr("'crc32'"));
  EXPECT_THAT(refusal("/batch", -1), HasSubstr("'batch'"));
  EXPECT_THAT(refusal("/batch", "nan"), HasSubstr("'batch'"));
  EXPECT_THAT(refusal("/batch", 0.5), HasSubstr("'batch'"));
  EXPECT_THAT(refusal("/ended", "over"), HasSubstr("'ended' is not one of running, finished, early_stopped, signal"));
  EXPECT_THAT(refusal("/ended", "running"), HasSubstr("'signal' is 15 of a run that is 'running'"));
  EXPECT_THAT(refusal("/signal", 0), HasSubstr("'signal' is 0 of a run that is 'signal'"));
  EXPECT_THAT(refusal("/signal", 65), HasSubstr("'signal' is 65"));
  EXPECT_THAT(refusal("/best/epoch", 4), HasSubstr("the best epoch is 4, of 3 epochs"));
  EXPECT_THAT(refusal("/best/epoch", 0), HasSubstr("the best epoch is 0, and 'val/accuracy' is among its metrics"));
  EXPECT_THAT(refusal("/best/monitor", "val/f1"), HasSubstr("'val/f1' is not among its metrics"));
  EXPECT_THAT(refusal("/best/metrics", {1, 2}), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal("/best/metrics/", 1), HasSubstr("the name of a metric"));
  EXPECT_THAT(refusal("/history", {1, 2, 3, 4}), HasSubstr("'history' has 4 numbers for 3 epochs"));
  EXPECT_THAT(refusal("/history", 1), HasSubstr("'history' is not a list"));
  EXPECT_THAT(refusal("/history/0", "much"), HasSubstr("'history' is not a number"));
  EXPECT_THAT(refusal("/window/seconds", -1), HasSubstr("'seconds' of the window is -1"));
  EXPECT_THAT(refusal("/window/waited", "nan"), HasSubstr("'waited' of the window is nan"));
  EXPECT_THAT(refusal("/val/samples", 0), HasSubstr("'val/samples' is 0"));
  EXPECT_THAT(refusal("/val/share", 1), HasSubstr("'val/share' is 1"));
  EXPECT_THAT(refusal("/val/from_train", 1), HasSubstr("'from_train' is not true or false"));
  EXPECT_THAT(refusal("/val/fingerprint", "g"), HasSubstr("'fingerprint'"));
  EXPECT_THAT(refusal("/val/image_size", {32}), HasSubstr("'val/image_size' has 1 number; allowed: height and width"));
  EXPECT_THAT(refusal("/val/image_size/0", 0), HasSubstr("the field 'image' has an extent of 0"));
  EXPECT_THAT(refusal("/val/image_size/1", 1ull << 40), HasSubstr("in all at most 2147483648 elements"));
  EXPECT_THAT(refusal("/channel_std/0", 0), HasSubstr("'channel_std' holds 0"));
  EXPECT_THAT(refusal("/channel_std", {1, 1}), HasSubstr("'channel_std' has 2 values for 1 channel"));
  EXPECT_THAT(refusal("/channel_mean", nlohmann::json::array()), HasSubstr("'channel_mean' has 0 values"));
  EXPECT_THAT(refusal("/fields", nlohmann::json::array()), HasSubstr("'fields' has 0 fields"));
  EXPECT_THAT(refusal("/fields/0/name", "photo"), HasSubstr("'channel_mean' has 1 value for 0 channels"));
  EXPECT_THAT(refusal("/fields/0/is_picture", 1), HasSubstr("'is_picture' is not true or false"));
  EXPECT_THAT(refusal("/fields/1/values/count", 0), HasSubstr("the field 'label' of int64 has 0 values"));
  EXPECT_THAT(refusal("/fields/2/values/ignored", 0.5), HasSubstr("'ignored' is not a whole number"));
  EXPECT_THAT(refusal("/fields/1/dtype", "float32"), HasSubstr("the field 'label' of float32 has 2 values"));
  EXPECT_THAT(refusal("/fields/3/columns/0/std", 0), HasSubstr("the field 'target' has a column whose mean or dev"));
  EXPECT_THAT(refusal("/fields/3/columns/0/mean", "nan"), HasSubstr("a column whose mean or deviation is impossible"));
  EXPECT_THAT(refusal("/fields/3/columns/0/name", 5), HasSubstr("'name' is not text"));
  EXPECT_THAT(refusal("/fields/3/shape", {2}), HasSubstr("'target' has another number of columns than of elements"));
  EXPECT_THAT(refusal("/fields/4/columns/0/categories", {"x"}), HasSubstr("another number of values than of categ"));
  EXPECT_THAT(refusal("/task", ""), HasSubstr("'task' has 0 bytes"));
  EXPECT_THAT(refusal("/class_counts", {1}), HasSubstr("'class_counts' has 1 number for 2 classes"));
  EXPECT_THAT(refusal("/fields/1/name", "image"), HasSubstr("the field 'image' is there twice"));
  EXPECT_THAT(refusal("/fields/1/dtype", "float16"),
              HasSubstr("'dtype' is not uint8, int32, int64, float32 or float64"));
  EXPECT_THAT(refusal("/fields/2/varies", "yes"), HasSubstr("'varies' is not true or false"));
  EXPECT_THAT(refusal("/fields/1/varies", true), HasSubstr("the field 'label' has 0 extents"));
  EXPECT_THAT(refusal("/fields/1/shape", {1, 1, 1, 1, 1, 1, 1, 1, 1}), HasSubstr("'label' has 9 extents"));
  EXPECT_THAT(refusal("/fields/0/shape", {28, 28}), HasSubstr("the field 'image' has 2 extents"));
  EXPECT_THAT(refusal("/fields/0/shape/0", 0), HasSubstr("the field 'image' has an extent of 0"));
  EXPECT_THAT(refusal("/fields/0/shape", {1 << 20, 1 << 20, 1}), HasSubstr("the field 'image' has an extent"));
}

TEST(Manifest, AnyNumberIsReadInItsRangeOrRefused) {
  const nlohmann::json valid = nlohmann::json::parse(to_json(example()));
  const std::vector<nlohmann::json::json_pointer> numbers = places_of_numbers(valid);
  ASSERT_GE(numbers.size(), 13u);
  for (const auto& place : numbers) {
    for (const nlohmann::json& value : hostile_numbers()) {
      nlohmann::json json = valid;
      json[place] = value;
      try {
        check_manifest(parse_manifest(sealed(json), "m.json"), "m.json");
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::StartsWith("[checkpoint] m.json: ")) << place << value;
      }
    }
  }
}

TEST(Manifest, NestingThatWouldOverflowTheStackIsRefused) {
  const std::string deep = std::string(5'000'000, '[') + std::string(5'000'000, ']');
  EXPECT_THAT(error_of(R"({"format":"trainyard-checkpoint","manifest_crc32":"0","x":)" + deep + "}"),
              HasSubstr("not JSON"));
}

TEST(Manifest, LfsPointerInItsPlaceIsRecognised) {
  EXPECT_THAT(error_of("version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 9\n"),
              HasSubstr("git lfs pull"));
}

TEST(Manifest, ValuesThatCouldNotBeReadAreNotWritten) {
  Manifest manifest = example();
  manifest.channel_std = {0};
  EXPECT_THAT(message_of<RunError>([&] { to_json(manifest); }), HasSubstr("'channel_std' holds 0"));
}

TEST(Manifest, FolderOfAnotherStepIsRefused) {
  const TestFolder folder;
  for (const char* name : {"step-00001170", "step-00000123", "copy", "step-123"}) {
    std::filesystem::create_directory(folder / name);
    write_text(folder / name / "manifest.json", to_json(example()));
  }
  EXPECT_EQ(read_manifest(folder / "step-00001170"), example());
  EXPECT_EQ(read_manifest(folder / "copy"), example());
  EXPECT_THAT(message_of<RunError>([&] { read_manifest(folder / "step-00000123"); }),
              testing::AllOf(HasSubstr("step-00000123/manifest.json"),
                             HasSubstr("of step 1170, its folder's name of step 123")));
}

}  // namespace
}  // namespace trainyard
