#include "checkpoint/manifest.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "checkpoint/test_folder.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

Manifest example() {
  Manifest manifest;
  manifest.step = 1170;
  manifest.epoch = 3;
  manifest.trainyard_version = "1.2.3";
  manifest.model = "resnet18";
  manifest.dataset = "fashion_mnist";
  manifest.dataset_fingerprint = 0xfedcba9876543210;
  manifest.class_names = {"T-shirt", "caf\u00e9 \"quoted\""};
  manifest.sample_shape = {28, 28, 1};
  manifest.channel_mean = {0.2860402f};
  manifest.channel_std = {0.3530242f};
  manifest.scalars = {{"best_accuracy", 0.1 + 0.2}, {"best_loss", -std::numeric_limits<double>::infinity()}};
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

TEST(Manifest, KeepsNotANumber) {
  Manifest manifest = example();
  manifest.scalars["loss"] = std::nan("");
  EXPECT_TRUE(std::isnan(parse_manifest(to_json(manifest), "m.json").scalars["loss"]));
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

// A manifest that someone changed and whose checksum they set right.
std::string resealed(const std::string& from, const std::string& to) {
  const std::string text = replaced(to_json(example()), from, to);
  const std::string message = error_of(text);
  const std::string right = message.substr(message.find("its CRC-32 is ") + 14, 8);
  const std::string wrong = message.substr(message.find("it says ") + 8, 8);
  return replaced(text, wrong, right);
}

TEST(Manifest, AnotherFormatVersionIsAUsageErrorThatNamesBoth) {
  const std::string text = resealed("\"format_version\": 1", "\"format_version\": 2");
  EXPECT_THAT(message_of<UsageError>([&] { parse_manifest(text, "m.json"); }),
              testing::AllOf(HasSubstr("version 2"), HasSubstr("1.2.3"), HasSubstr("version 1")));
}

TEST(Manifest, HostileValuesAreRefusedByKey) {
  EXPECT_THAT(error_of(resealed("\"step\": 1170", "\"step\": -1")), HasSubstr("'step'"));
  EXPECT_THAT(error_of(resealed("\"step\": 1170", "\"step\": 1e300")), HasSubstr("'step'"));
  EXPECT_THAT(error_of(resealed("\"step\": 1170", "\"step\": 18446744073709551615")), HasSubstr("'step'"));
  EXPECT_THAT(error_of(resealed("\"resnet18\"", "null")), HasSubstr("'model'"));
  EXPECT_THAT(error_of(resealed("\"state.safetensors\"", "\"../state\"")), HasSubstr("'files'"));
  EXPECT_THAT(error_of(resealed("\"state.safetensors\"", "\"ema.safetensors\"")), HasSubstr("model and state"));
}

}  // namespace
}  // namespace trainyard
