#include "check/facts_json.h"

#include <cmath>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

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
  facts.driver.cards[0].process_memory = {1, ~0ull};
  facts.probes[1].max_error = std::nan("");
  return facts;
}

std::string refusal(const std::string& text) {
  try {
    facts_from_json(text);
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
  const Facts back = facts_from_json(json.dump());
  EXPECT_EQ(facts_to_json(back), json);
  EXPECT_EQ(back.host.memory_limit, 8ull << 30);
  EXPECT_FALSE(back.limits.open_files.has_value());
  EXPECT_EQ(back.driver.cards[0].process_memory[1], ~0ull);
  EXPECT_TRUE(std::isnan(back.probes[1].max_error));
  EXPECT_EQ(back.environment, rich().environment);
}

TEST(FactsJson, ReadsTheWholeResultOfACheck) {
  const auto result = judge(rich(), Needs{});
  EXPECT_EQ(facts_to_json(facts_from_json(to_json(result).dump())), facts_to_json(rich()));
}

TEST(FactsJson, RefusalsNameThePlaceAndTheValue) {
  EXPECT_NE(refusal("{").find("no JSON"), std::string::npos);
  EXPECT_NE(refusal("[]").find("facts is []; it must be an object"), std::string::npos);
  EXPECT_NE(refusal("{}").find("\"schema\" is missing"), std::string::npos);
  EXPECT_NE(refusal(changed("/schema", 99)).find("schema 99"), std::string::npos);
  EXPECT_NE(refusal(changed("/host/cores", "two")).find("facts.host.cores is \"two\""), std::string::npos);
  EXPECT_NE(refusal(changed("/host/cores", 1e300)).find("facts.host.cores"), std::string::npos);
  EXPECT_NE(refusal(changed("/host/cores", 1ull << 40)).find("facts.host.cores"), std::string::npos);
  EXPECT_NE(refusal(changed("/host/memory", -1)).find("facts.host.memory is -1"), std::string::npos);
  EXPECT_NE(refusal(changed("/devices/0/name", "a\033[2J")).find("facts.devices[0].name"), std::string::npos);
  EXPECT_NE(refusal(changed("/devices/0/name", "\u009b2J")).find("control"), std::string::npos);
  EXPECT_NE(refusal(changed("/driver/cards", 3)).find("facts.driver.cards is 3"), std::string::npos);
  EXPECT_NE(refusal(changed("/environment", {{"A", 1}})).find("facts.environment.A is 1"), std::string::npos);
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
      render_full(judge(facts_from_json(text), Needs{}), false);
      ++read;
    } catch (const UsageError&) {
    }
  }
  EXPECT_GT(read, 0);  // damage inside a string often reads
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
