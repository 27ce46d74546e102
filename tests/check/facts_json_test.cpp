#include "check/facts_json.h"

#include <cmath>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "check/anonymous.h"
#include "check/check.h"
#include "check/machines.h"
#include "check/render.h"
#include "util/random.h"

namespace trainyard {
namespace {

Facts rich() {
  Facts facts = machines::docker();
  facts.host.memory_limit = 8ull << 30;
  facts.limits.open_files.reset();
  facts.driver.cards[0].slowed_by = {"thermal"};
  facts.driver.cards[0].processes = {{1, "python", 1}, {2, "", ~0ull}};
  facts.probes[1].max_error = std::nan("");
  return facts;
}

std::string refusal(const std::string& text) {
  try {
    recorded_from_json(text);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

std::string changed(const char* pointer, const nlohmann::json& value) {
  auto json = facts_to_json(rich());
  json[nlohmann::json::json_pointer(pointer)] = value;
  return json.dump();
}

TEST(FactsJson, ReadsBackWhatItWrote) {
  const auto json = facts_to_json(rich());
  const Facts back = recorded_from_json(json.dump()).facts;
  EXPECT_EQ(facts_to_json(back), json);
  EXPECT_EQ(back.host.memory_limit, 8ull << 30);
  EXPECT_FALSE(back.limits.open_files.has_value());
  EXPECT_EQ(back.driver.cards[0].processes[1].memory, ~0ull);
  EXPECT_TRUE(std::isnan(back.probes[1].max_error));
  EXPECT_EQ(back.environment, rich().environment);
}

TEST(FactsJson, ReadsTheWholeResultOfACheck) {
  const auto result = judge(rich(), Needs{});
  EXPECT_EQ(facts_to_json(recorded_from_json(to_json_text(result)).facts), facts_to_json(rich()));
}

TEST(FactsJson, RefusalsNameThePlaceAndTheValue) {
  EXPECT_NE(refusal("{").find("no JSON"), std::string::npos);
  EXPECT_EQ(refusal("{\"\u009b2J").find('\xc2'), std::string::npos) << "a control character";
  EXPECT_EQ(refusal("{\x7f").find('\x7f'), std::string::npos) << "a control character";
  EXPECT_NE(refusal(changed("/host/cores", "two")).find("facts.host.cores is \"two\""), std::string::npos);
  EXPECT_NE(refusal(changed("/host/cores", 1e300)).find("facts.host.cores"), std::string::npos);
  EXPECT_NE(refusal(changed("/host/cores", 1ull << 40)).find("facts.host.cores"), std::string::npos);
  EXPECT_NE(refusal(changed("/host/memory", -1)).find("facts.host.memory is -1"), std::string::npos);
  EXPECT_NE(refusal(changed("/devices/0/name", "a\033[2J")).find("facts.devices[0].name"), std::string::npos);
  EXPECT_NE(refusal(changed("/devices/0/name", "\u009b2J")).find("control"), std::string::npos);
  EXPECT_NE(refusal(changed("/driver/cards", 3)).find("facts.driver.cards is 3"), std::string::npos);
  EXPECT_NE(refusal(changed("/environment", {{"A", 1}})).find("facts.environment.A is 1"), std::string::npos);
}

TEST(FactsJson, OtherFilesAreRefusedByTheirKind) {
  const struct {
    std::string text;
    const char* words;
  } files[] = {
      {"", "[check] the facts is empty; `trainyard check --json` writes what is read here"},
      {" \n", "is empty"},
      {"epoch,step,loss\n0,1,2.3\n", "is no JSON; `trainyard check --json` writes what is read here"},
      {std::string("\x10\0\0\0\0\0\0\0{\"__metadata__\":{}}", 26), "is not text"},
      {std::string("\xff\xfe{\0\"\0", 6), "is UTF-16, as `>` in PowerShell writes it"},
      {"[1, 2]", "is JSON of another kind (array)"},
      {"7", "is JSON of another kind (number)"},
      {"{}", "is JSON of another kind (its keys: none)"},
      {R"({"config": "a", "epoch": 3, "format": 2})", "is JSON of another kind (its keys: config, epoch, format)"},
      {R"({"facts": 3})", "facts is 3; it must be an object"},
      {changed("/schema", facts_schema + 1),
       "is of a newer trainyard (schema 6, this one reads 5); read it with that one"},
      {changed("/schema", 3), "is of an older trainyard (schema 3, this one reads 5); write it again"},
      {changed("/schema", "3"), "facts.schema is \"3\"; it must be a whole number in range"},
  };
  for (const auto& [text, words] : files) EXPECT_NE(refusal(text).find(words), std::string::npos) << refusal(text);
}

TEST(FactsJson, HugeListsAndTextsAreRefused) {
  auto json = facts_to_json(rich());
  for (int i = 0; i < 2'000; ++i) json["devices"].push_back(json["devices"][0]);
  EXPECT_NE(refusal(json.dump()).find("it must be an array of at most 1024 elements"), std::string::npos);
  json = facts_to_json(rich());
  for (int i = 0; i < 2'000; ++i) json["environment"]["A" + std::to_string(i)] = "";
  EXPECT_NE(refusal(json.dump()).find("it must be an object of at most 1024 keys"), std::string::npos);
  EXPECT_NE(refusal(changed("/host/kernel", std::string(70'000, 'x'))).find("at most 65536 bytes"), std::string::npos);
}

TEST(FactsJson, CountsBelowNotKnownAreRefused) {
  EXPECT_NE(refusal(changed("/host/cores", -2)).find("facts.host.cores is -2; it must be a whole number from -1 on"),
            std::string::npos);
  EXPECT_EQ(refusal(changed("/folders/0/owner", -1)), "accepted");
}

TEST(FactsJson, EscapesBidiControlsInForeignFacts) {
  const std::string evil = "\u202e\u200bx";  // reverses the direction of the text after it
  auto json = facts_to_json(rich());
  const nlohmann::json leaves = json.flatten();
  for (const auto& [pointer, leaf] : leaves.items()) {
    if (leaf.is_string() && pointer != "/schema")
      json[nlohmann::json::json_pointer(pointer)] = leaf.get<std::string>() + evil;
  }
  json["environment"]["A" + evil] = "b";
  const CheckResult result = judge(recorded_from_json(json.dump()).facts, Needs{});
  const std::string shown = render_full(result, {.verbose = true}) + render_short(result) + to_json_text(result);
  EXPECT_EQ(shown.find("\u202e"), std::string::npos);
  EXPECT_NE(shown.find("\\xe2"), std::string::npos);
  EXPECT_EQ(render_finding(*explain_error(result.facts, Needs{}, "cuda:0", "CUDA error: " + evil)).find("\u202e"),
            std::string::npos);
}

TEST(WithGiven, FlagsReplaceRecordedNeedsAndNothingElse) {
  Needs recorded;
  recorded.device = "cpu";
  recorded.precision = "bf16";
  recorded.workers = 7;
  recorded.shared_memory = 1 << 20;
  Needs now;
  now.device = "cuda";
  now.workers = 2;
  now.memory = 5;
  Needs needs = with_given(recorded, now, {"train.device", "config"});
  EXPECT_EQ(needs.device, "cuda");
  EXPECT_EQ(needs.precision, "bf16");
  EXPECT_EQ(needs.workers, 7);
  EXPECT_EQ(needs.shared_memory, 1u << 20);
  needs = with_given(recorded, now, {"loader.workers"});
  EXPECT_EQ(needs.device, "cpu");
  EXPECT_EQ(needs.workers, 2);
  EXPECT_EQ(needs.memory, 5u);
  EXPECT_EQ(needs.shared_memory, 0u) << "not known for another number of workers";
  EXPECT_EQ(needs_to_json(with_given(recorded, now, {})), needs_to_json(recorded));
}

TEST(FactsJson, EveryFieldRefusesEveryOtherType) {
  const nlohmann::json good = facts_to_json(rich());
  const nlohmann::json values[] = {"text", -1, 1.5, 1e300, true, nlohmann::json::array({1}), {{"a", 1}}, nullptr};
  const nlohmann::json leaves = good.flatten();
  int refused = 0;
  for (const auto& [pointer, leaf] : leaves.items()) {
    for (const nlohmann::json& value : values) {
      auto json = good;
      json[nlohmann::json::json_pointer(pointer)] = value;
      const bool may_read = value.type() == leaf.type() || value.is_number() || value.is_null() || leaf.is_null();
      const std::string answer = refusal(json.dump());
      if (answer == "accepted") {
        EXPECT_TRUE(may_read) << pointer << " = " << value;
      } else {
        EXPECT_NE(answer.find("facts"), std::string::npos) << answer;
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 500);
}

TEST(FactsJson, EveryMissingKeyIsNamed) {
  const nlohmann::json good = facts_to_json(rich());
  for (const auto& [section, fields] : good.items()) {
    if (!fields.is_object() || section == "environment") continue;
    for (const auto& [field, value] : fields.items()) {
      auto json = good;
      json[section].erase(field);
      EXPECT_EQ(refusal(json.dump()), "[check] facts." + section + ": the key \"" + field + "\" is missing");
    }
  }
}

TEST(FactsJson, NumbersOutOfRangeAreRefused) {
  for (const char* number : {"1e999", "99999999999999999999999", "4294967296", "0.5", "1e5", "\"8\"", "null"}) {
    std::string text = facts_to_json(rich()).dump();
    const std::string key = "\"cores\":";
    const std::size_t start = text.find(key) + key.size();
    text.replace(start, text.find(',', start) - start, number);
    EXPECT_NE(refusal(text), "accepted") << number;
  }
}

TEST(FactsJson, TheNeedsOfARunComeAlong) {
  Needs needs;
  needs.device = "cuda:1";
  needs.workers = 7;
  needs.shared_memory = 5 << 20;
  const auto json = nlohmann::json::parse(to_json_text(judge(rich(), needs)));
  const Recorded recorded = recorded_from_json(json.dump());
  ASSERT_TRUE(recorded.needs.has_value());
  EXPECT_EQ(needs_to_json(*recorded.needs), needs_to_json(needs));
  EXPECT_FALSE(recorded_from_json(json["facts"].dump()).needs.has_value());
}

TEST(FactsJson, TextsThatAreNoUtf8AreWrittenAndReadBack) {
  Facts facts = rich();
  facts.environment["LD_LIBRARY_PATH"] = anonymous("/lib/\xff\xfe:/caf\xc3\xa9\xc2\x9b\n");
  const Facts back = recorded_from_json(facts_to_json(facts).dump()).facts;
  EXPECT_EQ(back.environment, facts.environment);
}

TEST(FactsJson, RefusesDeepAndLargeTexts) {
  EXPECT_NE(refusal(std::string(100'000, '[')).find("nested deeper"), std::string::npos);
  EXPECT_NE(refusal(std::string(5 << 20, ' ')).find("at most"), std::string::npos);
}

TEST(FactsJson, DamagedTextIsRefusedOrReadAndNeverCrashes) {
  const std::string good = facts_to_json(rich()).dump();
  RandomStream random(11);
  int read = 0;
  for (int i = 0; i < 1500; ++i) {
    std::string text = good;
    for (std::uint64_t changes = 1 + random.below(4); changes > 0; --changes) {
      const std::size_t place = random.below(text.size());
      switch (random.below(4)) {
        case 0:
          text[place] = static_cast<char>(random.below(256));
          break;
        case 1:
          text.erase(place, 1 + random.below(20));
          break;
        case 2:
          text.insert(place, text.substr(random.below(text.size()), random.below(30)));
          break;
        default:
          text.insert(place, std::string(1 + random.below(20), "0123456789[]{}\",-e"[random.below(18)]));
      }
    }
    try {
      render_full(judge(recorded_from_json(text).facts, Needs{}));
      ++read;
    } catch (const UsageError&) {
    }
  }
  EXPECT_GT(read, 0);  // a text with damage inside a string is often still valid
  EXPECT_LT(read, 1500);
}

TEST(FactsJson, AProbesLineReadsBack) {
  const ProbeFacts probe{"cuda:1", "conv bf16", "wrong", "relative error 3", 0.25, 3};
  const ProbeFacts back = probe_from_json(probe_to_json(probe).dump());
  EXPECT_EQ(back.device, "cuda:1");
  EXPECT_EQ(back.seconds, 0.25);
  EXPECT_THROW(probe_from_json("starting conv"), UsageError);
}

}  // namespace
}  // namespace trainyard
